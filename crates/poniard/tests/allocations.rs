//! Row B39: how often tasks call the global allocator. A test binary of its own, because the allocator is the process's.
#![forbid(unsafe_code)]

use poniard::prelude::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Tasks of one round.
const TASKS: usize = 100_000;
/// Calls of the allocator in a round, at most. It takes ten or none: a thread that starts, a queue that grows.
const CALLS_MAX: usize = TASKS / 100;

/// One test at a time, and a runtime of its own: the counters are everybody's.
fn runtime() -> (Cluster, MutexGuard<'static, ()>) {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    (Cluster::local().threads(2).start().unwrap(), alone)
}

fn calls(change: Stats) -> usize {
    change.allocations + change.reallocations
}

/// Bytes that were allocated since the region began, and are still.
fn live(region: &Region<'_, System>) -> isize {
    let change = region.change();
    change.bytes_allocated as isize - change.bytes_deallocated as isize
}

/// A task that spawns two and waits for them.
fn outer() -> Result<(), TaskError> {
    [(); 2].map(|()| spawn!(|| 1)).iter().try_for_each(|task| task.fetch().map(drop))
}

/// As [`outer`], with tasks that hold no processor.
fn outer_beside() -> Result<(), TaskError> {
    [(); 2].map(|()| spawn!(|| 1, occupancy = 0)).iter().try_for_each(|task| task.fetch().map(drop))
}

/// Ways to spawn and finish as many tasks as a round has.
const WORKS: [(&str, fn()); 5] = [
    ("spawned and fetched one at a time", || {
        (0..TASKS).for_each(|i| assert_eq!(spawn!((|i| i)(i)).fetch().unwrap(), i));
    }),
    ("with captures", || {
        (0..TASKS).for_each(|i| assert_eq!(spawn!(move || i).fetch().unwrap().0, i));
    }),
    ("in a chain", || {
        let last = (1..TASKS).fold(spawn!(|| 1), |task, _| spawn!((|x: &usize| x + 1)(&task)));
        assert_eq!(last.fetch().unwrap(), TASKS);
    }),
    ("with all handles kept", || {
        let tasks: Vec<_> = (0..TASKS).map(|i| spawn!((|i| i)(i))).collect();
        tasks.iter().enumerate().for_each(|(i, task)| assert_eq!(task.fetch().unwrap(), i));
    }),
    ("in pairs, each spawned by a task that waits for it", || {
        let tasks: Vec<_> = (0..TASKS / 3).map(|_| spawn!(outer()?)).collect();
        assert!(tasks.iter().all(|task| task.fetch().is_ok()));
    }),
];

#[test]
fn b39_a_hundred_thousand_tasks_in_steady_state_hardly_call_the_allocator() {
    let _runtime = runtime();
    for (what, work) in WORKS {
        (0..2).for_each(|_| work());
        let region = Region::new(ALLOCATOR);
        work();
        let calls = calls(region.change());
        assert!(calls <= CALLS_MAX, "{TASKS} tasks {what}: {calls} calls");
    }
}

#[test]
fn b39_tasks_inside_tasks_call_the_allocator_a_tenth_as_often_as_the_page_shows() {
    /// The smallest count that the page shows for its five loops, of 1 to 16 tasks with two more inside each.
    const OF_THE_PAGE: usize = 44_000;
    let _runtime = runtime();
    let full: fn() -> DTask<()> = || spawn!(outer()?);
    for spawned in [full, || spawn!(outer_beside()?, occupancy = 0)] {
        let region = Region::new(ALLOCATOR);
        for tasks in [1, 2, 4, 8, 16] {
            let tasks: Vec<_> = (0..tasks).map(|_| spawned()).collect();
            assert!(tasks.iter().all(|task| task.fetch().is_ok()));
        }
        let calls = calls(region.change());
        assert!(calls <= OF_THE_PAGE / 10, "{calls} calls");
    }
}

#[test]
fn b39_what_tasks_hold_is_given_back_with_their_handles() {
    const RESULT: usize = 4 << 10;
    const RESULTS: usize = 10_000;
    /// What the pool keeps for the next tasks, and what a thread is still about to drop.
    const KEPT: isize = (RESULT * RESULTS / 8) as isize;
    fn round() -> Vec<DTask<Vec<u8>>> {
        let results = (0..RESULTS).map(|_| spawn!(|| vec![1; RESULT])).collect::<Vec<_>>();
        let lengths = results.iter().map(|result| spawn!((|bytes: &[u8]| bytes.len())(result)));
        assert_eq!(fetch_all(&lengths.collect::<Vec<_>>()).unwrap(), [RESULT; RESULTS]);
        results
    }
    /// Its argument is dropped, and its error is held.
    fn fails(bytes: Vec<u8>) -> Result<(), String> {
        Err(String::from_utf8(bytes).unwrap())
    }
    let _runtime = runtime();
    drop(round());
    let region = Region::new(ALLOCATOR);
    let results = round();
    assert!(live(&region) >= (RESULT * RESULTS) as isize, "{} bytes are held", live(&region));
    drop(results);
    assert!(live(&region) <= KEPT, "{} bytes are not given back", live(&region));
    let failed: Vec<_> = (0..RESULTS).map(|_| spawn!(fails(vec![1; RESULT])?)).collect();
    assert!(failed.iter().all(|task| task.fetch().is_err()));
    drop(failed);
    assert!(live(&region) <= KEPT, "{} bytes are not given back", live(&region));
}
