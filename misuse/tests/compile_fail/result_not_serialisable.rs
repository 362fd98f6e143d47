use std::fs::File;

use poniard::prelude::*;

fn open() -> File {
    File::open("/dev/null").unwrap()
}

fn main() {
    spawn!(open());
}
