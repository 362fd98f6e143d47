use std::fs::File;

use poniard::prelude::*;

fn open() -> Pinned<File> {
    Pinned(File::open("/dev/null").unwrap())
}

fn main() {
    let file = spawn!(open());
    file.fetch().unwrap();
}
