use poniard::prelude::*;

fn main() {
    let k = 3;
    assert_eq!(spawn!(k = k => k * 2).fetch().unwrap(), 6);
}
