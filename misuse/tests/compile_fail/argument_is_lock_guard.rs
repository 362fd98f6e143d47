use std::sync::{Mutex, MutexGuard};

use poniard::prelude::*;

fn double(x: MutexGuard<i64>) -> i64 {
    2 * *x
}

fn main() {
    let counter = Mutex::new(3);
    spawn!(double(counter.lock().unwrap()));
}
