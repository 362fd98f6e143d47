use poniard::prelude::*;

fn main() {
    let word = "four".to_string();
    spawn!(word.len());
}
