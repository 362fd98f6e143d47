use poniard::prelude::*;

fn square(x: i64) -> i64 {
    x * x
}

fn main() {
    lazy!({
        for x in 0..3 {
            square(x);
        }
        square(4)
    });
}
