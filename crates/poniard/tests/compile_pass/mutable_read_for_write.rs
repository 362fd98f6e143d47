// `&mut m` gives `&mut T`.

use poniard::prelude::*;

fn push(list: &mut Vec<i32>, x: i32) {
    list.push(x);
}

fn main() {
    let mut list = mutable!(vec![1]);
    spawn!(push(&mut list, 2));
}
