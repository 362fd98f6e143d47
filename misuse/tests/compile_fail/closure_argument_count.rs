use poniard::prelude::*;

fn main() {
    spawn!((|x, y| x + y)(1));
}
