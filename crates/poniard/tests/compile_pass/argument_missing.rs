use poniard::prelude::*;

fn square(x: i64) -> i64 {
    x * x
}

fn main() {
    assert_eq!(spawn!(square(4)).fetch().unwrap(), 16);
}
