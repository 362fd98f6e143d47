use poniard::prelude::*;

fn add(x: i64, y: i64) -> i64 {
    x + y
}

fn main() {
    spawn!(add(1), 2);
}
