use poniard::prelude::*;

fn main() {
    let k = 3;
    let p = spawn!(|| 2);
    spawn!((|x| x * k)(&p));
}
