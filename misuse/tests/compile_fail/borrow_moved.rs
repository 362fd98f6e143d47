use poniard::prelude::*;

fn main() {
    let xs = vec![1, 2, 3];
    let first = &xs[0];
    spawn!(move || *first + 1);
}
