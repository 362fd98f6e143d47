use std::fs::File;

use poniard::prelude::*;

fn open() -> Pinned<File> {
    Pinned(File::open("/dev/null").unwrap())
}

fn main() {
    assert!(spawn!(open()).fetch_ref().is_ok());
}
