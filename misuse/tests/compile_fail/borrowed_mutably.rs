use poniard::prelude::*;

fn push(xs: &mut Vec<i64>) {
    xs.push(4);
}

fn main() {
    let mut xs = vec![1, 2, 3];
    spawn!(push(&mut xs));
}
