//! Processors have a piece each anyway.

use poniard::prelude::*;

fn main() {
    let here = poniard::ProcessorId { worker: WorkerId(1), index: 0 };
    let _bins = shard!(vec![0; 10], procs = [here], per_thread = true);
}
