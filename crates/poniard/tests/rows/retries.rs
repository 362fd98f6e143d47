//! Another attempt.

use crate::alone::{ONE_PROCESS, alone_with};
use crate::signals::{Notes, Peak};
use poniard::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Fails until it was called `good` times.
fn flaky(calls: &'static AtomicU32, good: u32) -> Result<u32, String> {
    let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
    if call < good { Err(format!("call {call}")) } else { Ok(call) }
}

#[test]
fn a_task_that_fails_runs_again_as_often_as_it_was_told() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let task = spawn!((|n| flaky(&CALLS, n))(4)?, single = 1, retries = 3);
    assert_eq!(task.fetch().unwrap(), 4);
    static MORE: AtomicU32 = AtomicU32::new(0);
    let error = spawn!((|n| flaky(&MORE, n))(9)?, single = 1, retries = Retries::new(3)).fetch().unwrap_err();
    assert!(error.to_string().ends_with("attempt 4, failed: call 4"), "{error}");
    assert_eq!(MORE.load(Ordering::SeqCst), 4);
}

#[test]
fn a_panic_counts_and_dependents_see_only_the_last_attempt() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    fn panics_once(x: i64) -> i64 {
        assert!(CALLS.fetch_add(1, Ordering::SeqCst) > 0, "the first call");
        x
    }
    // Its calls are counted in this process.
    let task = spawn!(panics_once(5), retries = 1, scope = Scope::worker(1));
    assert_eq!(spawn!((|x: &i64| x + 1)(&task)).fetch().unwrap(), 6);
}

#[test]
fn values_are_copied_for_each_attempt() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    fn consumes(mut numbers: Vec<i32>, text: String) -> Result<usize, String> {
        assert_eq!((numbers.len(), text.as_str()), (3, "whole"));
        numbers.clear();
        drop(text);
        flaky(&CALLS, 3)?;
        Ok(numbers.len())
    }
    let numbers = spawn!(|| vec![1, 2, 3]);
    assert_eq!(spawn!(consumes(numbers, "whole".to_owned())?, single = 1, retries = 5).fetch().unwrap(), 0);
    assert_eq!(CALLS.load(Ordering::SeqCst), 3);
}

#[test]
fn a_task_with_real_captures_has_one_attempt() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let captured = Peak::default();
    let task = spawn!(move => captured.while_held(1, || flaky(&CALLS, 2))?, retries = 5);
    assert!(task.fetch().unwrap_err().to_string().ends_with("call 1"));
    assert_eq!(CALLS.load(Ordering::SeqCst), 1);
}

#[test]
fn without_on_error_a_tasks_own_errors_do_not_count() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let task = spawn!((|n| flaky(&CALLS, n))(2)?, single = 1, retries = Retries::new(3).on_error(false));
    assert!(task.fetch().is_err());
    assert_eq!(CALLS.load(Ordering::SeqCst), 1);
}

#[test]
fn a_filter_tells_which_failures_are_worth_another_attempt() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let worth = |error: &TaskError| !error.to_string().contains("call 2");
    let error = spawn!((|n| flaky(&CALLS, n))(9)?, single = 1, retries = Retries::new(5).filter(worth))
        .fetch()
        .unwrap_err();
    assert!(error.to_string().ends_with("call 2"), "{error}");
}

#[test]
fn pauses_double_and_nobody_is_kept_busy_meanwhile() {
    alone_with(1, &[ONE_PROCESS], || {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        static ORDER: std::sync::Mutex<Vec<&str>> = std::sync::Mutex::new(Vec::new());
        fn noted(n: u32) -> Result<u32, String> {
            ORDER.lock().unwrap().push("attempt");
            flaky(&CALLS, n)
        }
        let begun = Instant::now();
        let pause = Duration::from_millis(150);
        let task = spawn!(noted(3)?, retries = Retries::new(2).backoff(pause));
        let other = spawn!(|| ORDER.lock().unwrap().push("other"));
        assert_eq!(task.fetch().unwrap(), 3);
        assert!(begun.elapsed() >= 3 * pause);
        other.wait();
        let order = ORDER.lock().unwrap();
        assert_eq!(order.len(), 4);
        assert_ne!(order.last(), Some(&"other"), "it runs during a pause at the latest");
    });
}

#[test]
fn a_cancelled_task_is_not_tried_again() {
    alone_with(1, &[ONE_PROCESS], || {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let long = Duration::from_secs(50);
        let task = spawn!((|n| flaky(&CALLS, n))(2)?, retries = Retries::new(2).backoff(long));
        crate::signals::eventually(|| CALLS.load(Ordering::SeqCst) == 1);
        task.cancel();
        // Cancelled in its pause; or at the end of its attempt, whose error it then keeps.
        let error = task.fetch().unwrap_err();
        assert!(error.is_cancelled() || error.to_string().ends_with("call 1"), "{error}");
        assert_eq!(CALLS.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn an_input_that_is_tried_again_keeps_its_dependents_waiting() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let notes = Notes::default();
    let task = spawn!((|n| flaky(&CALLS, n))(3)?, retries = 2, scope = Scope::worker(1));
    let seen = notes.clone();
    spawn!(move x = &task => seen.note(x)).wait();
    assert_eq!(notes.all(), ["3"]);
}
