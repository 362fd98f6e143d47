// One place for a mutable.

use poniard::prelude::*;

fn main() {
    let _list = mutable!(vec![0; 10], worker = 1);
}
