use poniard::prelude::*;

fn main() {
    spawn!(async { 3 });
}
