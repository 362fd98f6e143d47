use poniard::prelude::*;

struct TooLarge;

fn root(x: i64) -> Result<i64, TooLarge> {
    if x < 10 { Ok(x) } else { Err(TooLarge) }
}

fn main() {
    spawn!(root(4)?);
}
