use poniard::prelude::*;

fn main() {
    let k = 3;
    spawn!(|| k * 2);
}
