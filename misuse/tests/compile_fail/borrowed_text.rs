use poniard::prelude::*;

fn shout(word: &str) -> String {
    word.to_uppercase()
}

fn main() {
    spawn!(shout("hello"));
}
