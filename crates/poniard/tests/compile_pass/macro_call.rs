use poniard::prelude::*;

fn main() {
    let x = 3;
    assert_eq!(spawn!(x = x => format!("{x}")).fetch().unwrap(), "3");
}
