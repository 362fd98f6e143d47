//! Large values: workers of one host read each other's memory.

use super::*;
use poniard::{Arena, Order, Tile};

const MIB: usize = 1 << 20;

/// A block of so many MiB, of this number.
fn block(mib: usize, number: f64) -> Tile<f64> {
    Tile::from_fn(&[mib * MIB / 8], Order::Col, |_| number).unwrap()
}

fn sum(x: &Tile<f64>) -> f64 {
    x.as_slice(Order::Col).unwrap().iter().sum()
}

/// Bytes of blocks that this process has in use.
pub(super) fn in_use() -> usize {
    Arena::global().usage().in_use_bytes
}

#[test]
fn a_block_that_one_worker_makes_is_read_by_others_without_a_copy() {
    alone(1, || {
        let cluster = cluster(2);
        let x = spawn!(block(64, 2.0), scope = Scope::worker(2));
        let expected = 2.0 * (64 * MIB / 8) as f64;
        for worker in [3, 2, 1] {
            assert_eq!(spawn!(sum(&x), scope = Scope::worker(worker)).fetch().unwrap(), expected);
        }
        assert_eq!(sum(&x.fetch_ref().unwrap()), expected);
        let traffic = cluster.traffic();
        assert!(traffic.copied_bytes < 100_000, "{traffic:?}");
        assert_eq!(traffic.lent_bytes, 128 * MIB as u64, "to workers 2 and 3");
        assert_eq!(in_use(), 0, "it stays where it was made");
    });
}

#[test]
fn the_last_handle_frees_a_block_where_it_lies() {
    alone(1, || {
        let _cluster = cluster(2);
        let used = |worker| spawn!(in_use(), scope = Scope::worker(worker)).fetch().unwrap();
        for _ in 0..20 {
            let x = spawn!(block(16, 1.0), scope = Scope::worker(2));
            let y = spawn!(sum(&x), scope = Scope::worker(3));
            y.fetch().unwrap();
            assert_eq!(used(2), 16 * MIB);
            drop((x, y));
            until("its memory is free", || used(2) == 0);
        }
        let mine = spawn!(block(16, 1.0), scope = Scope::worker(1));
        assert_eq!(spawn!(sum(&mine), scope = Scope::worker(2)).fetch().unwrap(), 2_097_152.0);
        drop(mine);
        until("its memory is free", || in_use() == 0);
    });
}

#[test]
fn a_block_outlives_the_worker_that_made_it() {
    alone(1, || {
        let _cluster = cluster(2);
        let x = spawn!(block(16, 3.0), scope = Scope::worker(2));
        x.fetch_ref().unwrap();
        let process = process_of(2);
        signal("-9", process);
        until("it is gone", || poniard::workers().len() == 2);
        let y = spawn!(sum(&x), scope = Scope::worker(3));
        assert_eq!(y.fetch().unwrap(), sum(&x.fetch_ref().unwrap()));
    });
}

#[test]
fn vectors_cross_by_one_copy_and_come_back_the_same() {
    alone(1, || {
        fn numbers(count: u64) -> Vec<u64> {
            (0..count).map(|number| number * number).collect()
        }
        fn last(x: &Vec<u64>) -> u64 {
            x[x.len() - 1]
        }
        let cluster = cluster(2);
        let x = spawn!(numbers(1_000_000), scope = Scope::worker(2));
        let y = spawn!(last(&x), scope = Scope::worker(3));
        assert_eq!(y.fetch().unwrap(), 999_999 * 999_999);
        assert_eq!(x.fetch().unwrap(), numbers(1_000_000));
        assert_eq!(cluster.traffic().lent_bytes, 8_000_000);
    });
}

#[test]
fn tasks_of_large_blocks_are_shared_out() {
    alone(1, || {
        fn made_somewhere(number: f64) -> (Tile<f64>, WorkerId) {
            (block(1, number), sharing::work(3))
        }
        fn sum_somewhere((x, _): &(Tile<f64>, WorkerId)) -> (f64, WorkerId) {
            (sum(x), sharing::work(3))
        }
        let cluster = Cluster::local().workers(1).threads(1).start().unwrap();
        let blocks: Vec<_> = (0..100).map(|number| spawn!(made_somewhere(number as f64))).collect();
        let sums: Vec<_> = blocks.iter().map(|x| spawn!(sum_somewhere(x))).collect();
        let sums = fetch_all(&sums).unwrap();
        for (number, (sum, _)) in sums.iter().enumerate() {
            assert_eq!(*sum, number as f64 * (MIB / 8) as f64);
        }
        let makers = blocks.iter().map(|x| x.fetch_ref().unwrap().1).collect::<Vec<_>>();
        let there = makers.iter().chain(sums.iter().map(|(_, worker)| worker));
        let there = there.filter(|worker| **worker == WorkerId(2)).count();
        assert!((10..=190).contains(&there), "{there} of 200 ran on worker 2");
        assert!(cluster.traffic().copied_bytes < MIB as u64, "{:?}", cluster.traffic());
    });
}

#[test]
fn blocks_of_workers_keep_to_the_budget_of_their_owner() {
    alone(1, || {
        let cluster = Cluster::local()
            .workers(2)
            .threads(1)
            .memory("64MiB")
            .no_worker_timeout(PATIENCE)
            .start()
            .unwrap();
        let blocks: Vec<_> = (0..40).map(|number| spawn!(block(4, number as f64))).collect();
        fetch_all(&blocks.iter().map(|x| spawn!(sum(x))).collect::<Vec<_>>()).unwrap();
        for (number, x) in blocks.iter().enumerate() {
            let sum = spawn!(sum(x), scope = Scope::worker(1 + number as u32 % 3)).fetch().unwrap();
            assert_eq!(sum, number as f64 * (4 * MIB / 8) as f64);
        }
        assert!(cluster.memory_usage().written_bytes > 0, "{:?}", cluster.memory_usage());
    });
}
