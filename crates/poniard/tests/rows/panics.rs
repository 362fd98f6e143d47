//! Panics in tasks: errors, not deaths.

use crate::alone::alone;
use poniard::prelude::*;
use std::panic::panic_any;

/// The runtime still works.
fn all_is_well() {
    assert_eq!(spawn!((|x| x + 1)(1)).fetch().unwrap(), 2);
}

#[test]
fn a_panic_is_an_error_with_its_message_and_place() {
    fn with_text() -> i64 {
        panic!("plain")
    }
    fn with_format(x: i64) -> i64 {
        panic!("formatted {x}")
    }
    for (task, message) in [(spawn!(with_text()), ": plain"), (spawn!(with_format(7)), ": formatted 7")] {
        let error = task.fetch().unwrap_err();
        let text = error.to_string();
        assert!(error.is_panic() && text.contains(file!()) && text.ends_with(message), "{text}");
    }
    all_is_well();
}

#[test]
fn a_panic_with_another_payload_is_an_error_too() {
    fn with_number() -> i64 {
        panic_any(42)
    }
    let error = spawn!(with_number()).fetch().unwrap_err();
    assert!(error.is_panic(), "{error}");
    all_is_well();
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("while dropping");
        }
    }
}

#[test]
fn a_panic_while_an_argument_is_dropped_fails_the_task() {
    fn takes(_: Pinned<Bomb>) -> i64 {
        1
    }
    let task = spawn!(takes(Pinned(Bomb)));
    assert!(task.fetch().unwrap_err().to_string().ends_with("while dropping"));
    all_is_well();
}

#[test]
fn a_panic_while_a_result_is_dropped_goes_no_further() {
    let task = spawn!(|| Pinned(Bomb));
    task.wait();
    drop(task);
    all_is_well();
}

#[test]
fn a_panic_while_captures_of_a_task_that_never_ran_are_dropped_goes_no_further() {
    fn fails() -> i64 {
        panic!("first")
    }
    let bomb = Pinned(Bomb);
    let task = spawn!(move x = &spawn!(fails()) => { let _kept = &bomb; *x });
    assert!(task.fetch().unwrap_err().to_string().ends_with("first"));
    drop(task);
    all_is_well();
}

#[test]
fn a_payload_that_panics_when_it_is_dropped_goes_no_further() {
    fn throws() -> i64 {
        panic_any(Bomb)
    }
    assert!(spawn!(throws()).fetch().unwrap_err().is_panic());
    all_is_well();
}

#[test]
fn many_panics_leave_the_threads_alive() {
    fn odd(x: i64) -> i64 {
        assert!(x % 2 == 0, "odd");
        x
    }
    alone(2, || {
        std::panic::set_hook(Box::new(|_| {}));
        let tasks: Vec<_> = (0..1000).map(|i| spawn!(odd(i))).collect();
        let failed = tasks.iter().filter(|task| task.fetch().is_err()).count();
        assert_eq!(failed, 500);
        let status = poniard::status();
        assert!(status.threads <= 4, "{} threads", status.threads);
    });
}
