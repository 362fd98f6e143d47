use poniard::prelude::*;

#[poniard::task]
fn plot(n: i64, #[default(1)] color: i64) -> i64 {
    10 * n + color
}

fn main() {
    spawn!(plot(1, colour = 2));
}
