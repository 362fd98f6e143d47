use poniard::prelude::*;

fn bytes(chunk: &Chunk<i64>) -> u64 {
    chunk.bytes()
}

fn main() {
    let p = spawn!(|| 1);
    let flag = true;
    spawn!(bytes(&p), meta = flag);
}
