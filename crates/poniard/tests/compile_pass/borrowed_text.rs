use poniard::prelude::*;

fn shout(word: &str) -> String {
    word.to_uppercase()
}

fn main() {
    let task = spawn!(word = "hello".to_string() => shout(&word));
    assert_eq!(task.fetch().unwrap(), "HELLO");
}
