use poniard::prelude::*;

fn main() {
    let xs = vec![1, 2, 3];
    let first = xs[0];
    assert_eq!(**spawn!(move || first + 1).fetch_ref().unwrap(), 2);
}
