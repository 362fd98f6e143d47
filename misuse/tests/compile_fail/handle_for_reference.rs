use poniard::prelude::*;

fn len(word: &String) -> usize {
    word.len()
}

fn main() {
    let p = spawn!(|| "four".to_string());
    spawn!(len(p));
}
