use poniard::prelude::*;

fn main() {
    spawn!(|x| x + 1);
}
