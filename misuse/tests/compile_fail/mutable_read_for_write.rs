//! `&m` gives `&T`.

use poniard::prelude::*;

fn push(list: &mut Vec<i32>, x: i32) {
    list.push(x);
}

fn main() {
    let list = mutable!(vec![1]);
    spawn!(push(&list, 2));
}
