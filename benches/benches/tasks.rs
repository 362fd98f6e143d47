//! Time for each task, beside rayon in the same run: `cargo bench -p poniard-benches --bench tasks`.
//!
//! `REPS=9` repetitions, `PONIARD_THREADS=2` threads of each side.
#![forbid(unsafe_code)]

use poniard::prelude::*;
use poniard_benches::{heading, measure, repetitions, threads};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const TASKS: usize = 1_000_000;

fn empty() {}

fn same(x: u64) -> u64 {
    x
}

fn next(x: &u64) -> u64 {
    x + 1
}

fn sum(x: &u64, y: &u64) -> u64 {
    x + y
}

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let a = spawn!(fib(n - 1));
    let b = fib(n - 2);
    a.fetch().expect("fib does not fail") + b
}

/// Spawns in the call tree of `fib(n)`.
fn spawns_of_fib(n: u64) -> usize {
    if n < 2 { 0 } else { 1 + spawns_of_fib(n - 1) + spawns_of_fib(n - 2) }
}

fn main() -> poniard::Result<()> {
    let threads = threads();
    let _cluster = Cluster::local().threads(threads).start()?;
    let repetitions = repetitions();
    println!("{threads} threads, {repetitions} repetitions");
    heading();
    let ours = independent(repetitions);
    let rayons = rayon_spawn(threads, repetitions);
    println!("{:<58} {:>10.2}", "  ratio to rayon::spawn", ours / rayons);
    chain(repetitions);
    tree(repetitions);
    fibonacci(repetitions);
    one_at_a_time(repetitions);
    Ok(())
}

fn independent(repetitions: usize) -> f64 {
    measure("1M independent empty tasks, handles kept, all fetched", TASKS, repetitions, || {
        let tasks: Vec<DTask<()>> = (0..TASKS).map(|_| spawn!(empty())).collect();
        for task in &tasks {
            task.fetch().expect("an empty task does not fail");
        }
    })
}

fn rayon_spawn(threads: usize, repetitions: usize) -> f64 {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("rayon starts");
    let outside = measure("  rayon::spawn, from outside, counted down", TASKS, repetitions, || {
        let left = Arc::new(AtomicUsize::new(TASKS));
        for _ in 0..TASKS {
            let left = left.clone();
            pool.spawn(move || {
                left.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while left.load(Ordering::Acquire) > 0 {
            std::thread::yield_now();
        }
    });
    let scoped = measure("  rayon scope spawn, inside the pool, no handle", TASKS, repetitions, || {
        pool.install(|| rayon::scope(|scope| (0..TASKS).for_each(|_| scope.spawn(|_| {}))));
    });
    outside.min(scoped)
}

fn chain(repetitions: usize) {
    measure("chain of 1M, spawned live, each hop", TASKS, repetitions, || {
        let mut last = spawn!(same(0));
        for _ in 1..TASKS {
            last = spawn!(next(&last));
        }
        assert_eq!(last.fetch().expect("the chain does not fail"), TASKS as u64 - 1);
    });
}

fn tree(repetitions: usize) {
    const LEAVES: u64 = 1 << 20;
    measure("binary tree reduction, 2^20 leaves, each task", 2 * LEAVES as usize - 1, repetitions, || {
        let mut level: Vec<DTask<u64>> = (0..LEAVES).map(|leaf| spawn!(same(leaf))).collect();
        while level.len() > 1 {
            level = level
                .chunks(2)
                .map(|pair| {
                    let (left, right) = (&pair[0], &pair[1]);
                    spawn!(sum(left, right))
                })
                .collect();
        }
        assert_eq!(level[0].fetch().expect("the tree does not fail"), LEAVES * (LEAVES - 1) / 2);
    });
}

fn fibonacci(repetitions: usize) {
    const N: u64 = 27;
    measure("fib(27), spawn and fetch in every task, each spawn", spawns_of_fib(N), repetitions, || {
        assert_eq!(spawn!(fib(N)).fetch().expect("fib does not fail"), 196_418);
    });
}

fn one_at_a_time(repetitions: usize) {
    measure("spawn + fetch one at a time, program's thread", TASKS, repetitions, || {
        for x in 0..TASKS as u64 {
            assert_eq!(spawn!(same(x)).fetch().expect("it does not fail"), x);
        }
    });
}
