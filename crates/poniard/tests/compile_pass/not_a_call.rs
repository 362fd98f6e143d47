use poniard::prelude::*;

fn main() {
    assert_eq!(spawn!(|| 1 + 2).fetch().unwrap(), 3);
}
