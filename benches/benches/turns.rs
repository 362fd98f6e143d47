//! Time for each turn at a value that tasks change in place: `cargo bench -p poniard-benches --bench turns`.
//!
//! `REPS=9` repetitions, `PONIARD_THREADS=2` threads.
#![forbid(unsafe_code)]

use poniard::prelude::*;
use poniard_benches::{heading, measure, repetitions, threads};

const TURNS: usize = 1_000_000;

fn increment(count: &mut u64) {
    *count += 1;
}

fn look(_: &u64) {}

fn both(x: &mut u64, y: &mut u64) {
    *x += 1;
    *y += 1;
}

fn main() -> poniard::Result<()> {
    let threads = threads();
    let _cluster = Cluster::local().threads(threads).start()?;
    let repetitions = repetitions();
    println!("{threads} threads, {repetitions} repetitions");
    heading();
    writers(repetitions);
    writers_from_inside(repetitions);
    readers(repetitions);
    two_at_once(repetitions);
    pieces(repetitions);
    borrowed(repetitions);
    Ok(())
}

fn writers(repetitions: usize) {
    measure("1M writers of one value, spawned live, each turn", TURNS, repetitions, || {
        let mut count = mutable!(0u64);
        for _ in 0..TURNS {
            spawn!(increment(&mut count));
        }
        assert_eq!(count.fetch().expect("nothing fails"), TURNS as u64);
    });
}

fn writers_from_inside(repetitions: usize) {
    fn spawn_all(count: Mutable<u64>) {
        let mut count = count;
        for _ in 0..TURNS {
            spawn!(increment(&mut count));
        }
    }
    measure("  spawned by a task, so all wait first", TURNS, repetitions, || {
        let count = mutable!(0u64);
        spawn!(spawn_all(count.clone())).fetch().expect("it does not fail");
        assert_eq!(count.fetch().expect("nothing fails"), TURNS as u64);
    });
}

fn readers(repetitions: usize) {
    measure("1M readers of one value, a writer every 100, each turn", TURNS, repetitions, || {
        let mut count = mutable!(0u64);
        for turn in 0..TURNS {
            if turn % 100 == 0 {
                spawn!(increment(&mut count));
            } else {
                spawn!(look(&count));
            }
        }
        assert_eq!(count.fetch().expect("nothing fails"), TURNS as u64 / 100);
    });
}

fn two_at_once(repetitions: usize) {
    measure("1M writers of two values at once, each task", TURNS, repetitions, || {
        let (mut x, mut y) = (mutable!(0u64), mutable!(0u64));
        for _ in 0..TURNS {
            spawn!(both(&mut x, &mut y));
        }
        assert_eq!(x.fetch().expect("nothing fails"), TURNS as u64);
    });
}

fn pieces(repetitions: usize) {
    const TASKS: usize = TURNS / 10;
    measure("100k writers of a shard for each thread, each task", TASKS, repetitions, || {
        let mut counts = shard!(0u64, per_thread = true);
        for _ in 0..TASKS {
            spawn!(increment(&mut counts));
        }
        let counts = counts.map(|piece| spawn!((|count: &u64| *count)(&piece))).fetch_all();
        assert_eq!(counts.expect("nothing fails").iter().sum::<u64>(), TASKS as u64);
    });
}

fn borrowed(repetitions: usize) {
    const TIMES: usize = TURNS / 10;
    measure("100k times `with_mut`, the program's thread", TIMES, repetitions, || {
        let mut count = mutable!(0u64);
        for _ in 0..TIMES {
            count.with_mut(|count| *count += 1).expect("nothing fails");
        }
    });
}
