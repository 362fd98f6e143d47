use poniard::prelude::*;

fn main() {
    assert_eq!(spawn!((|x, y| x + y)(1, 2)).fetch().unwrap(), 3);
}
