use poniard::prelude::*;

fn bytes(chunk: &Chunk<i64>) -> u64 {
    chunk.bytes()
}

fn main() {
    let p = spawn!(|| 1);
    assert_eq!(spawn!(bytes(&p), meta = true).fetch().unwrap(), 0);
}
