use poniard::prelude::*;

fn main() {
    let k = 3;
    let p = spawn!(|| 2);
    assert_eq!(spawn!((|x, k| x * k)(&p, k)).fetch().unwrap(), 6);
}
