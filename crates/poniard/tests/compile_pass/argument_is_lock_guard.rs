use std::sync::Mutex;

use poniard::prelude::*;

fn double(x: i64) -> i64 {
    2 * x
}

fn main() {
    let counter = Mutex::new(3);
    assert_eq!(spawn!(double(*counter.lock().unwrap())).fetch().unwrap(), 6);
}
