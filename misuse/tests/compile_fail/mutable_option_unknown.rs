//! `mutable!` has no such option.

use poniard::prelude::*;

fn main() {
    let _list = mutable!(vec![0; 10], workers = [1]);
}
