use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use poniard::prelude::*;

fn numbers() -> Pinned<Mutex<Receiver<i64>>> {
    Pinned(Mutex::new(channel().1))
}

fn main() {
    assert!(spawn!(numbers()).fetch_ref().is_ok());
}
