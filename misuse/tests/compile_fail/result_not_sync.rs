use std::sync::mpsc::{Receiver, channel};

use poniard::prelude::*;

fn numbers() -> Pinned<Receiver<i64>> {
    Pinned(channel().1)
}

fn main() {
    spawn!(numbers());
}
