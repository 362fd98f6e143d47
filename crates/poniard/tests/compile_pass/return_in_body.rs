use poniard::prelude::*;

fn at_most_3(x: i64) -> i64 {
    if x > 3 {
        return 3;
    }
    x
}

fn main() {
    assert_eq!(spawn!(at_most_3(4)).fetch().unwrap(), 3);
}
