use poniard::prelude::*;

fn len(x: String) -> usize {
    x.len()
}

fn main() {
    let x = "four".to_string();
    assert_eq!(spawn!(len(x)).fetch().unwrap(), 4);
}
