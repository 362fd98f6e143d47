//! Loops in loops: twenty tasks, and six that need each of them.

use crate::alone::alone;
use crate::clock::Clock;
use crate::signals::Meeting;
use poniard::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const OUTER: usize = 20;
const INNER: usize = 6;

#[test]
fn a15_nested_loops_run_each_task_once_and_in_the_order_of_their_inputs() {
    let (outer_ended, inner_ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut inner = Vec::new();
    sync(|| {
        for i in 0..OUTER {
            let ended = outer_ended.clone();
            let y = spawn!(move || {
                ended.fetch_add(1, Ordering::SeqCst);
                i
            });
            for j in 0..INNER {
                let ended = inner_ended.clone();
                inner.push(spawn!(move y = &y => { ended.fetch_add(1, Ordering::SeqCst); (**y, j) }));
            }
        }
    })
    .unwrap();
    assert_eq!(
        (outer_ended.load(Ordering::SeqCst), inner_ended.load(Ordering::SeqCst)),
        (OUTER, OUTER * INNER)
    );
    for (place, task) in inner.iter().enumerate() {
        assert_eq!(task.fetch().unwrap().0, (place / INNER, place % INNER));
    }
}

#[test]
fn a15_no_inner_task_starts_before_its_outer_one_has_ended() {
    sync(|| {
        for _ in 0..OUTER {
            let ended = Arc::new(AtomicUsize::new(0));
            let inside = ended.clone();
            let y = spawn!(move || inside.fetch_add(1, Ordering::SeqCst));
            for _ in 0..INNER {
                let ended = ended.clone();
                spawn!(move _y = &y => assert_eq!(ended.load(Ordering::SeqCst), 1));
            }
        }
    })
    .unwrap();
}

#[test]
fn a15_inner_tasks_of_different_outer_ones_overlap() {
    alone(4, || {
        let all = Meeting::of(4);
        let inner: Vec<_> = (0..4)
            .map(|i| {
                let (y, all) = (spawn!((|i| i)(i)), all.clone());
                spawn!(move _y = &y => all.meet())
            })
            .collect();
        assert!(inner.iter().all(|task| task.fetch().unwrap().0));
    });
}

/// Threads over the outer loop run the inner tasks of one outer task one after the other, and threads over the inner loop
/// run one outer task at a time. Here both kinds overlap.
#[test]
fn a16_nested_loops_overlap_both_ways_as_no_one_level_loop_does() {
    alone(8, || {
        let all = Meeting::of(8);
        let mut inner = Vec::new();
        for (i, of_this) in [4, 2, 1, 1].into_iter().enumerate() {
            let y = spawn!((|i| i)(i));
            for _ in 0..of_this {
                let all = all.clone();
                inner.push(spawn!(move _y = &y => all.meet()));
            }
        }
        assert!(inner.iter().all(|task| task.fetch().unwrap().0));
    });
}

const THREADS: usize = 8;
/// How many ticks each `g(i, j)` takes, and last of each row `f(i)`.
type Times = [[u64; INNER + 1]; OUTER];

/// The sizes of normally distributed numbers, as on the page.
fn random_times(seed: u64) -> Times {
    let mut random = seed;
    let mut uniform = || {
        // xorshift64*, Vigna 2016.
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        random.wrapping_mul(0x2545_F491_4F6C_DD1D) as f64 / u64::MAX as f64
    };
    // Twelve uniform numbers have the variance 1 together, and are normal to the eye.
    let mut normal = || (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
    std::array::from_fn(|_| std::array::from_fn(|_| (normal().abs() * 1000.0) as u64 + 1))
}

/// How long both loops take as tasks. The clock fails when a processor is idle while a task could run.
fn ticks_of_tasks(times: Times) -> u64 {
    let clock = Clock::default();
    let number = |i: usize, j: usize| i * (INNER + 1) + j;
    let must_run = |ended: &BTreeSet<usize>| {
        let can_run = |i: usize, j: usize| j == INNER || ended.contains(&number(i, INNER));
        let of_row = |i| (0..=INNER).filter(move |j| can_run(i, *j) && !ended.contains(&number(i, *j)));
        (0..OUTER).flat_map(of_row).count().min(THREADS)
    };
    std::thread::scope(|scope| {
        let conductor = scope.spawn(|| clock.run(must_run));
        let ended = sync(|| {
            for (i, row) in times.into_iter().enumerate() {
                let clock = clock.clone();
                let of_f = clock.clone();
                let y = spawn!(move || of_f.sleep(number(i, INNER), row[INNER]));
                for (j, ticks) in row.into_iter().take(INNER).enumerate() {
                    let clock = clock.clone();
                    spawn!(move _y = &y => clock.sleep(number(i, j), ticks));
                }
            }
        });
        let ticks = conductor.join().unwrap();
        ended.unwrap();
        ticks
    })
}

#[test]
fn a16_nested_loops_take_less_time_than_one_level_loops() {
    let sum = |row: &[u64; INNER + 1]| row.iter().sum::<u64>();
    let chain = |row: &[u64; INNER + 1]| row[INNER] + row[..INNER].iter().max().unwrap();
    alone(THREADS, || {
        let mut compared = 0;
        for (seed, times) in (1..=100).map(|seed| (seed, random_times(seed))) {
            // Threads over the outer loop have some rows each; those over the inner one end a row before they begin the next.
            let rows_of = |thread: usize| &times[thread * OUTER / THREADS..(thread + 1) * OUTER / THREADS];
            let over_outer = (0..THREADS).map(|thread| rows_of(thread).iter().map(sum).sum()).max().unwrap();
            let one_level = u64::min(over_outer, times.iter().map(chain).sum());
            // No schedule takes less than `least`, and none without idle processors more than `most` (Graham, 1966).
            let (work, longest): (u64, u64) =
                (times.iter().map(sum).sum(), times.iter().map(chain).max().unwrap());
            let (threads, least) = (THREADS as u64, longest.max(work.div_ceil(THREADS as u64)));
            let most = (work + (threads - 1) * longest) / threads;
            if most >= one_level {
                // The rows happen to fit the threads: tasks in an unlucky order could lose.
                continue;
            }
            let ticks = ticks_of_tasks(times);
            assert!((least..=most).contains(&ticks), "seed {seed}: {ticks} is not in {least}..={most}");
            assert!(ticks < one_level, "seed {seed}: {ticks}, {one_level}");
            compared += 1;
        }
        assert!(compared > 50, "only {compared} seeds make a difference");
    });
}

#[test]
fn a17_the_outer_block_waits_for_tasks_of_inner_loops() {
    let ended = Arc::new(AtomicUsize::new(0));
    sync(|| {
        (0..OUTER).for_each(|_| {
            let y = spawn!(|| 1);
            (0..INNER).for_each(|_| {
                let ended = ended.clone();
                spawn!(move y = &y => { std::thread::yield_now(); ended.fetch_add(*y, Ordering::SeqCst) });
            });
        });
    })
    .unwrap();
    assert_eq!(ended.load(Ordering::SeqCst), OUTER * INNER);
}

#[test]
fn b18_tasks_spawn_and_fetch_on_one_thread() {
    fn fib(n: u64) -> Result<u64, TaskError> {
        if n < 2 {
            return Ok(n);
        }
        let (a, b) = (spawn!(fib(n - 1)?), spawn!(fib(n - 2)?));
        Ok(a.fetch()? + b.fetch()?)
    }
    alone(1, || assert_eq!(spawn!(fib(18)?).fetch().unwrap(), 2584));
}

/// `n` tasks, each of which waits for the next.
fn deep(n: u64) -> Result<u64, TaskError> {
    if n == 0 { Ok(0) } else { Ok(spawn!(deep(n - 1)?).fetch()? + 1) }
}

#[test]
fn b18_a_hundred_tasks_deep_wait_for_each_other_on_one_thread() {
    alone(1, || assert_eq!(spawn!(deep(100)?).fetch().unwrap(), 100));
}

#[test]
fn b18_tasks_that_wait_for_a_task_nobody_can_run_in_place_go_on_on_one_thread() {
    /// The task below waits for a dependent of its own child: it becomes ready elsewhere.
    fn deep(n: u64) -> Result<u64, TaskError> {
        if n == 0 {
            return Ok(0);
        }
        let below = spawn!(deep(n - 1)?);
        Ok(spawn!((|x: &u64| x + 1)(&below)).fetch()?)
    }
    alone(1, || assert_eq!(spawn!(deep(100)?).fetch().unwrap(), 100));
}

#[test]
fn b18_a_hundred_thousand_fetches_of_tasks_in_tasks() {
    fn sums(n: u64) -> Result<u64, TaskError> {
        (0..n).map(|i| spawn!((|i| i % 2)(i)).fetch()).sum()
    }
    alone(1, || {
        let tasks: Vec<DTask<u64>> = (0..100).map(|_| spawn!(sums(1000)?)).collect();
        assert_eq!(fetch_all(&tasks).unwrap().iter().sum::<u64>(), 50_000);
    });
}

#[test]
fn a_hundred_thousand_tasks_deep_end_on_one_thread() {
    alone(1, || assert_eq!(spawn!(deep(100_000)?).fetch().unwrap(), 100_000));
}
