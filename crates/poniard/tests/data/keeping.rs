//! Results that are kept, and where.

use crate::alone::alone_with;
use crate::signals::eventually;
use poniard::prelude::*;
use poniard::{Storage, memory_usage};

fn block(first: u64) -> Vec<u64> {
    (first..first + 8192).collect()
}

#[test]
fn b10_a_persistent_result_is_kept_until_it_is_released() {
    alone_with(2, &[], || {
        let task = spawn!(block(1), persist = true);
        let (id, any) = (task.id(), task.any());
        task.wait();
        drop(task);
        drop(spawn!(block(2)));
        eventually(|| memory_usage().resident_bytes == 1 << 16);
        assert!(any.is_ready() && any.id() == id);
        any.release();
        drop(any);
        eventually(|| memory_usage().resident_bytes == 0);
    });
}

#[test]
fn b10_a_persistent_result_goes_with_the_runtime() {
    alone_with(2, &[], || {
        let cluster = Cluster::local().threads(2).start().unwrap();
        let task = spawn!(block(1), persist = true);
        task.wait();
        drop(task);
        assert_eq!(memory_usage().resident_bytes, 1 << 16);
        drop(cluster);
        assert_eq!(memory_usage().resident_bytes, 0);
    });
}

#[test]
fn what_is_stored_in_memory_stays_there_and_what_is_stored_on_disk_leaves() {
    alone_with(2, &[("PONIARD_MEMORY", "1MiB")], || {
        let stays = spawn!(block(1), storage = Storage::Memory);
        let leaves = spawn!(block(2), storage = Storage::Disk);
        let leaves = leaves.chunk().unwrap();
        eventually(|| !leaves.is_resident());
        let others: Vec<_> = (0..64).map(|i| put(block(i)).unwrap()).collect();
        let stays = stays.chunk().unwrap();
        assert!(stays.is_resident());
        assert!(others.iter().any(|chunk| !chunk.is_resident()));
        // It is read when it is used, and leaves again.
        assert_eq!(spawn!((|x: &Vec<u64>| x[0])(&leaves)).fetch().unwrap(), 2);
        assert_eq!(leaves.fetch().unwrap(), block(2));
        eventually(|| !leaves.is_resident());
    });
}

#[test]
fn b29_compute_keeps_the_result_where_it_is() {
    alone_with(2, &[("PONIARD_MEMORY", "1MiB")], || {
        let chunk: Chunk<Vec<u64>> = lazy!(block(3)).compute().unwrap();
        let others: Vec<_> = (0..64).map(|i| put(block(i)).unwrap()).collect();
        assert_eq!(spawn!((|x: &Vec<u64>| x.len())(&chunk)).fetch().unwrap(), 8192);
        assert_eq!(chunk.fetch().unwrap()[0], 3);
        drop(others);
    });
}
