use poniard::prelude::*;

fn main() {
    let word = spawn!(|| "four".to_string());
    assert_eq!(spawn!(String::len(&word)).fetch().unwrap(), 4);
}
