//! `shard!` has no such option.

use poniard::prelude::*;

fn main() {
    let _bins = shard!(vec![0; 10], threads = true);
}
