use poniard::prelude::*;

fn sum(xs: &[i64]) -> i64 {
    xs.iter().sum()
}

fn main() {
    let p = spawn!(|| vec![1, 2]);
    assert_eq!(spawn!(sum(&p)).fetch().unwrap(), 3);
}
