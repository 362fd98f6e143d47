//! Loops in loops: twenty tasks, and six that need each of them.

use crate::alone::alone;
use crate::signals::Meeting;
use poniard::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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

#[test]
fn a16_nested_loops_take_less_time_than_one_level_loops_can() {
    const F: Duration = Duration::from_millis(40);
    /// One outer task has long inner ones, so that neither loop alone is balanced.
    const G_OF_FIRST: Duration = Duration::from_millis(100);
    alone(8, || {
        let begun = Instant::now();
        sync(|| {
            for i in 0..OUTER {
                let y = spawn!((|i| {
                    std::thread::sleep(F);
                    i
                })(i));
                for _ in 0..INNER {
                    spawn!((|i: &usize| if *i == 0 {
                        std::thread::sleep(G_OF_FIRST)
                    })(&y));
                }
            }
        })
        .unwrap();
        let (nested, inner) = (begun.elapsed(), INNER as u32);
        let over_outer = F + inner * G_OF_FIRST;
        let over_inner = OUTER as u32 * F + G_OF_FIRST;
        assert!(nested < over_outer && nested < over_inner, "{nested:?}, {over_outer:?}, {over_inner:?}");
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
