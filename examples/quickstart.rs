//! The first program: four tasks, and the result of the last.
#![forbid(unsafe_code)]

use poniard::prelude::*;

fn add1(x: i64) -> i64 {
    x + 1
}

fn add2(x: &i64) -> i64 {
    x + 2
}

fn combine(xs: &[&i64]) -> i64 {
    xs.iter().copied().sum()
}

fn main() -> poniard::Result<()> {
    let p = spawn!(add1(4));
    let q = spawn!(add2(&p)); // the function sees the result of `p` by reference
    let r = spawn!(add1(3));
    let s = spawn!(combine(&[p, q, r])); // n inputs
    println!("add1(4) + add2(add1(4)) + add1(3) = {}", s.fetch()?);
    assert_eq!(s.fetch()?, 16);
    Ok(())
}
