use poniard::prelude::*;

fn sum(xs: &[i64]) -> i64 {
    xs.iter().sum()
}

fn main() {
    let p = spawn!(|| "1".to_string());
    spawn!(sum(&p));
}
