// A piece for each thread.

use poniard::prelude::*;

fn main() {
    let _bins = shard!(vec![0; 10], per_thread = true);
}
