use poniard::prelude::*;

#[poniard::task]
fn plot(#[default(1)] color: i64, n: i64) -> i64 {
    10 * n + color
}

fn main() {
    spawn!(plot(1));
}
