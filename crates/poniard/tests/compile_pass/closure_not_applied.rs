use poniard::prelude::*;

fn main() {
    assert_eq!(spawn!((|x| x + 1)(2)).fetch().unwrap(), 3);
}
