use poniard::prelude::*;

fn main() {
    spawn!(1 + 2);
}
