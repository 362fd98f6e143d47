use poniard::prelude::*;

fn square(x: i64) -> i64 {
    x * x
}

fn main() {
    let first = spawn!(square(3));
    assert_eq!(spawn!(square(4), after = &first).fetch().unwrap(), 16);
}
