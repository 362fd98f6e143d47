use poniard::prelude::*;

fn main() {
    spawn!(x = 4 => {
        if x > 3 {
            return 3;
        }
        x
    });
}
