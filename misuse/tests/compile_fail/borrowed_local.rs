use poniard::prelude::*;

fn sum(xs: &[i64]) -> i64 {
    xs.iter().sum()
}

fn main() {
    let xs = vec![1, 2, 3];
    spawn!(sum(&xs));
}
