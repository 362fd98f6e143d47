use poniard::prelude::*;

fn pushed(mut xs: Vec<i64>) -> Vec<i64> {
    xs.push(4);
    xs
}

fn main() {
    let xs = vec![1, 2, 3];
    assert_eq!(spawn!(pushed(xs)).fetch().unwrap(), [1, 2, 3, 4]);
}
