use poniard::prelude::*;

fn square(x: i64) -> i64 {
    x * x
}

fn main() {
    let squares: Vec<_> = (0..3).map(|x| lazy!(square(x))).collect();
    assert_eq!(squares[2].collect().unwrap(), 4);
}
