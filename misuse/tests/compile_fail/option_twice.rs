use poniard::prelude::*;

fn square(x: i64) -> i64 {
    x * x
}

fn main() {
    spawn!(square(4), name = "first", name = "second");
}
