//! Results that are made again instead of being written to disk.

use crate::alone::alone_with;
use crate::signals::eventually;
use poniard::prelude::*;
use poniard::{MemoryError, Options, Storage, memory_usage};
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often `block` ran.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// 64 KiB.
fn block(first: u64) -> Vec<u64> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    (first..first + 8192).collect()
}

fn next(before: &[u64]) -> Vec<u64> {
    before.iter().map(|x| x + 1).collect()
}

/// Takes up all the memory there is, for a moment.
fn crowd_out() {
    let other = |i: u64| spawn!((|i: u64| vec![i; 8192])(i), storage = Storage::Memory);
    let others: Vec<_> = (0..16).map(other).collect();
    others.iter().for_each(DTask::wait);
}

const SMALL: &[(&str, &str)] = &[("PONIARD_MEMORY", "1MiB")];

#[test]
fn b11_an_evicted_result_is_made_again_with_the_same_value() {
    alone_with(2, SMALL, || {
        let blocks: Vec<_> = (0..64).map(|i| spawn!(block(i), cache = true)).collect();
        for _ in 0..2 {
            for (i, task) in (0..).zip(&blocks) {
                assert_eq!(task.fetch().unwrap(), (i..i + 8192).collect::<Vec<u64>>());
            }
        }
        let usage = memory_usage();
        assert_eq!((usage.written_bytes, usage.read_bytes), (0, 0));
        assert!(usage.remade > 0);
        assert_eq!(RUNS.load(Ordering::Relaxed), 64 + usage.remade);
        assert!(usage.peak_bytes <= 1 << 20, "{usage:?}");
        drop(blocks);
        eventually(|| memory_usage().resident_bytes == 0);
    });
}

#[test]
fn b11_what_an_evicted_result_was_made_of_is_made_again_first() {
    alone_with(2, SMALL, || {
        let mut chain = vec![spawn!(block(0), cache = true)];
        for i in 0..40 {
            chain.push(spawn!(next(&chain[i]), cache = true));
        }
        chain[40].wait();
        crowd_out();
        let remade = memory_usage().remade;
        assert_eq!(chain[40].fetch().unwrap(), (40..40 + 8192).collect::<Vec<u64>>());
        assert!(memory_usage().remade > remade);
        for (i, task) in chain.iter().enumerate().rev() {
            assert_eq!(task.fetch_ref().unwrap()[0], i as u64);
        }
        assert_eq!(memory_usage().stored_bytes, 0);
    });
}

#[test]
fn b11_several_tasks_want_what_is_made_again_for_all_of_them_once() {
    alone_with(2, SMALL, || {
        let x = spawn!(block(5), cache = true);
        x.wait();
        crowd_out();
        let before = (RUNS.load(Ordering::Relaxed), memory_usage().remade);
        let sums: Vec<_> = (0..20).map(|i| spawn!((|x: &Vec<u64>, i: usize| x[i])(&x, i))).collect();
        for (i, sum) in (0..).zip(sums) {
            assert_eq!(sum.fetch().unwrap(), 5 + i);
        }
        let after = (RUNS.load(Ordering::Relaxed), memory_usage().remade);
        assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1));
    });
}

#[test]
fn b11_who_wants_a_result_that_cannot_be_made_again_learns_why_and_the_next_one_may_have_it() {
    alone_with(2, SMALL, || {
        static FAILS: AtomicU64 = AtomicU64::new(0);
        fn second_time(n: u64) -> Vec<u64> {
            assert!(FAILS.fetch_add(1, Ordering::Relaxed) != 1, "not the second time");
            vec![n; 8192]
        }
        let task = spawn!(second_time(3), cache = true);
        task.wait();
        crowd_out();
        let error = task.fetch().map(drop).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(" again: task `second_time`") && text.contains("not the second time"),
            "{text}"
        );
        let MemoryError::Unreadable(_, why) = error.downcast_ref().unwrap() else { panic!("{error:?}") };
        let cause = why.source().and_then(|cause| cause.downcast_ref::<TaskError>()).unwrap();
        assert!(cause.is_panic());
        assert_eq!(task.fetch().unwrap(), vec![3; 8192]);
        assert_eq!(FAILS.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn b11_what_cannot_be_made_again_goes_to_disk() {
    alone_with(2, SMALL, || {
        fn from(once: Pinned<AtomicU64>) -> Vec<u64> {
            let first = once.load(Ordering::Relaxed);
            (first..first + 8192).map(|x| x.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
        }
        fn count(counter: &mut u64) -> Vec<u64> {
            *counter += 1;
            vec![*counter; 8192]
        }
        let uncopied = spawn!(from(Pinned(AtomicU64::new(7))), cache = true);
        let mut counter = mutable!(0_u64);
        let counted = spawn!(count(&mut counter), cache = true);
        uncopied.wait();
        counted.wait();
        crowd_out();
        let first = uncopied.fetch_ref().unwrap()[0];
        assert_eq!(first, 7_u64.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        assert_eq!(counted.fetch_ref().unwrap()[0], 1);
        assert_eq!(memory_usage().remade, 0);
        assert!(memory_usage().written_bytes > 0);
    });
}

#[cfg(feature = "async")]
#[test]
fn b11_the_result_of_an_asynchronous_function_is_made_again() {
    async fn later(first: u64) -> Vec<u64> {
        (first..first + 8192).collect()
    }
    alone_with(2, SMALL, || {
        let task = spawn!(async later(9), cache = true);
        task.wait();
        crowd_out();
        assert_eq!(task.fetch_ref().unwrap()[0], 9);
        assert_eq!(memory_usage().remade, 1);
    });
}

#[test]
fn b11_a_cached_result_keeps_its_options_and_its_inputs_go_with_it() {
    alone_with(2, SMALL, || {
        let x = spawn!(block(1), storage = Storage::Memory);
        let options = Options::new().cache(true).priority(1).retries(2).name("again");
        let y = with_options(options, || spawn!(next(&x)));
        drop(x);
        y.wait();
        crowd_out();
        // The input is kept; whoever ran the last task that crowded it out lets go of that a moment later.
        eventually(|| memory_usage().resident_bytes == 1 << 16);
        assert_eq!(y.fetch_ref().unwrap()[0], 2);
        drop(y);
        eventually(|| memory_usage().resident_bytes == 0);
    });
}

#[test]
fn a_long_chain_of_cached_results_is_made_again_and_goes_without_deep_recursion() {
    alone_with(2, SMALL, || {
        let mut last = spawn!(block(0), cache = true);
        for _ in 0..5_000 {
            last = spawn!((|x: &Vec<u64>| vec![x[0] + 1; 2048])(&last), cache = true);
        }
        assert_eq!(last.fetch_ref().unwrap()[0], 5_000);
        crowd_out();
        assert_eq!(last.fetch_ref().unwrap()[0], 5_000);
        let usage = memory_usage();
        assert_eq!(usage.remade, 5_001);
        assert!(usage.peak_bytes <= (1 << 20) + (1 << 16), "{usage:?}");
        drop(last);
        eventually(|| memory_usage().resident_bytes == 0);
    });
}

#[test]
fn b11_a_cached_function_may_wait_for_tasks_of_its_own() {
    fn inner(n: u64) -> Vec<u64> {
        vec![n; 8192]
    }
    fn outer(n: u64) -> Result<Vec<u64>, TaskError> {
        let parts = [spawn!(inner(n)), spawn!(inner(n + 1))];
        Ok(next(&parts[1].fetch()?))
    }
    for threads in [1, 3] {
        alone_with(threads, SMALL, || {
            let all: Vec<_> = (0..8).map(|n| spawn!(outer(n)?, cache = true)).collect();
            all.iter().for_each(DTask::wait);
            crowd_out();
            let firsts: Vec<_> = all.iter().map(|task| spawn!((|x: &Vec<u64>| x[0])(task))).collect();
            for (n, first) in (0..).zip(firsts) {
                assert_eq!(first.fetch().unwrap(), n + 2);
            }
            assert!(memory_usage().remade >= 8);
        });
    }
}

#[test]
fn b11_a_tree_of_cached_results_is_made_again_depth_first() {
    alone_with(2, SMALL, || {
        fn sum(a: &[u64], b: &[u64]) -> Vec<u64> {
            a.iter().zip(b).map(|(a, b)| a + b).collect()
        }
        let mut level: Vec<_> = (0..256).map(|n| spawn!(block(n), cache = true)).collect();
        let mut all = Vec::new();
        while level.len() > 1 {
            let sums = level.chunks(2).map(|pair| spawn!(sum(&pair[0], &pair[1]), cache = true)).collect();
            all.push(std::mem::replace(&mut level, sums));
        }
        let first = level[0].fetch_ref().unwrap()[0];
        assert_eq!(first, (0..256).sum::<u64>());
        crowd_out();
        let before = memory_usage();
        assert_eq!(level[0].fetch_ref().unwrap()[0], first);
        let after = memory_usage();
        assert!(after.remade - before.remade >= 511, "{after:?}");
        // A few blocks along one path for each of the two threads.
        assert!(after.peak_bytes <= (1 << 20) + (20 << 16), "{after:?}");
    });
}

#[test]
fn b11_a_halt_ends_who_waited_and_nobody_later() {
    static SLOW: AtomicU64 = AtomicU64::new(0);
    fn slow(n: u64) -> Vec<u64> {
        if SLOW.load(Ordering::Relaxed) == 1 {
            SLOW.store(2, Ordering::Relaxed);
            eventually(|| SLOW.load(Ordering::Relaxed) == 3);
        }
        vec![n; 8192]
    }
    alone_with(2, SMALL, || {
        let x = spawn!(slow(7), cache = true);
        x.wait();
        crowd_out();
        SLOW.store(1, Ordering::Relaxed);
        let waited = spawn!((|x: &Vec<u64>| x[0])(&x));
        eventually(|| SLOW.load(Ordering::Relaxed) == 2);
        poniard::halt();
        assert!(waited.fetch().unwrap_err().is_halted());
        let later = spawn!((|x: &Vec<u64>| x[1])(&x));
        SLOW.store(3, Ordering::Relaxed);
        assert_eq!(later.fetch().unwrap(), 7);
    });
}

#[test]
fn what_is_dropped_with_a_cluster_may_spawn_tasks() {
    static SPAWNED: std::sync::Mutex<Vec<DTask<u64>>> = std::sync::Mutex::new(Vec::new());
    struct Spawns;
    impl Drop for Spawns {
        fn drop(&mut self) {
            SPAWNED.lock().unwrap().push(spawn!((|n: u64| n + 1)(1), priority = 3));
        }
    }
    alone_with(2, SMALL, || {
        let cluster = Cluster::local().threads(1).start().unwrap();
        let task = spawn!(|| Pinned(Spawns), persist = true);
        task.wait();
        drop(task);
        drop(cluster);
        let spawned = SPAWNED.lock().unwrap().pop().unwrap();
        assert_eq!(spawned.fetch().unwrap(), 2);
    });
}

#[test]
fn b11_a_circle_through_what_is_made_again_is_an_error() {
    static COUNTER: std::sync::Mutex<Option<Mutable<u64>>> = std::sync::Mutex::new(None);
    fn counts(n: u64) -> Result<Vec<u64>, TaskError> {
        let mut counter = COUNTER.lock().unwrap().clone().unwrap();
        counter.with_mut(|count| *count += 1)?;
        Ok(vec![n; 8192])
    }
    alone_with(2, SMALL, || {
        let mut counter = mutable!(0_u64);
        *COUNTER.lock().unwrap() = Some(counter.clone());
        let x = spawn!(counts(5)?, cache = true);
        x.wait();
        crowd_out();
        // It has its turn at the counter, and waits for what cannot be made before that is over.
        let reader = spawn!((|x: &Vec<u64>, count: &mut u64| x[0] + *count)(&x, &mut counter));
        let text = reader.fetch().map(drop).unwrap_err().to_string();
        assert!(text.contains("cannot make") && text.contains("cannot be waited for here"), "{text}");
        assert_eq!(counter.fetch().unwrap(), 1);
        assert_eq!(x.fetch_ref().unwrap()[0], 5);
        assert_eq!(counter.fetch().unwrap(), 2);
    });
}

#[test]
fn b11_what_is_made_again_does_not_wait_for_what_has_nothing_to_do_with_it() {
    static GO: AtomicU64 = AtomicU64::new(0);
    fn long(n: u64) -> Vec<u64> {
        eventually(|| GO.load(Ordering::Relaxed) == 1);
        vec![n; 8192]
    }
    alone_with(3, SMALL, || {
        let x = spawn!(block(1), cache = true);
        let y = spawn!(next(&x), cache = true);
        y.wait();
        crowd_out();
        // Memory is full of what could be dropped, and a task that makes much runs on.
        let idle: Vec<_> = (0..16).map(|i| spawn!(block(i), cache = true)).collect();
        idle.iter().for_each(DTask::wait);
        let running = spawn!(long(3));
        assert_eq!(spawn!((|y: &Vec<u64>| y[0])(&y)).fetch().unwrap(), 2);
        GO.store(1, Ordering::Relaxed);
        running.wait();
    });
}
