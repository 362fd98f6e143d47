use poniard::prelude::*;

#[derive(Debug)]
struct TooLarge;

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("too large")
    }
}

impl std::error::Error for TooLarge {}

fn root(x: i64) -> Result<i64, TooLarge> {
    if x < 10 { Ok(x) } else { Err(TooLarge) }
}

fn main() {
    assert_eq!(spawn!(root(4)?).fetch().unwrap(), 4);
}
