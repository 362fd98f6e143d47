use poniard::prelude::*;

fn main() {
    let x = 3;
    spawn!(format!("{x}"));
}
