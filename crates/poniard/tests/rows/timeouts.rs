//! Time limits.

use crate::alone::alone;
use crate::signals::{LIMIT, eventually};
use poniard::prelude::*;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(30);

/// A task that runs and takes no notice of its limit. It ends when the sender is dropped.
fn ignores_its_limit(occupancy: f64) -> (DTask<Pinned<()>>, Sender<()>) {
    let ((started, runs), (end, ended)) = (channel(), channel::<()>());
    let work = move || {
        started.send(()).unwrap();
        let _ = ended.recv_timeout(LIMIT);
    };
    let task = spawn!(move || work(), timeout = SHORT, occupancy = occupancy);
    runs.recv_timeout(LIMIT).expect("a thread of the runtime takes it");
    (task, end)
}

#[test]
fn a_task_fails_at_its_limit_even_when_it_goes_on() {
    for occupancy in [0.0, 0.5, 1.0] {
        let begun = Instant::now();
        let (task, end) = ignores_its_limit(occupancy);
        let dependent = spawn!((|_: &Pinned<()>| 1)(&task));
        let error = dependent.fetch().unwrap_err();
        assert!(error.is_timeout() && error.to_string().contains("timeout of 30ms"), "{error}");
        assert!(task.fetch().unwrap_err().is_timeout());
        assert!(begun.elapsed() < LIMIT);
        drop(end);
    }
}

#[test]
fn other_tasks_go_on_while_one_runs_beyond_its_limit() {
    alone(1, || {
        let (task, end) = ignores_its_limit(1.0);
        let others: Vec<_> = (0..20).map(|i| spawn!((|i| i)(i))).collect();
        eventually(|| task.is_ready());
        assert_eq!(fetch_all(&others).unwrap().len(), 20);
        drop(end);
        assert_eq!(spawn!(|| 1).fetch().unwrap(), 1);
    });
}

#[test]
fn a_task_sees_that_its_time_is_over() {
    let task = spawn!(
        || while !cancelled() {
            std::thread::yield_now()
        },
        timeout = SHORT
    );
    assert!(task.fetch().unwrap_err().is_timeout());
}

#[test]
fn a_task_that_is_fast_enough_has_its_result() {
    let tasks: Vec<_> = (0..100).map(|i| spawn!((|i| i)(i), timeout = Duration::from_secs(60))).collect();
    assert_eq!(fetch_all(&tasks).unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn the_time_spent_waiting_for_inputs_does_not_count() {
    alone(2, || {
        let slow = spawn!(|| std::thread::sleep(2 * SHORT));
        assert_eq!(spawn!((|(): &()| 1)(&slow), timeout = SHORT).fetch().unwrap(), 1);
    });
}

#[test]
fn a_time_out_counts_for_retries_and_each_attempt_has_its_own() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    fn slow_at_first() -> u32 {
        let attempt = ATTEMPTS.fetch_add(1, Ordering::SeqCst);
        while attempt < 2 && !cancelled() {
            std::thread::yield_now();
        }
        attempt
    }
    alone(2, || {
        let task = spawn!(
            slow_at_first(),
            timeout = Duration::from_millis(200),
            retries = Retries::new(3).on_error(false)
        );
        assert_eq!(task.fetch().unwrap(), 2);
    });
}

#[test]
fn a_task_that_fetches_one_with_a_limit_is_not_held_beyond_it() {
    alone(1, || {
        let begun = Instant::now();
        let (send, ends) = channel();
        let outer = spawn!(move || {
            let (end, ended) = channel::<()>();
            send.send(end).unwrap();
            let work = move || {
                let _ = ended.recv_timeout(LIMIT);
            };
            let task = spawn!(move || work(), timeout = SHORT);
            task.fetch_ref().is_err_and(|error| error.is_timeout())
        });
        assert!(outer.fetch().unwrap().0);
        assert!(begun.elapsed() < LIMIT);
        drop(ends);
    });
}
