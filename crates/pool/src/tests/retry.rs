//! Further attempts, and limits of time.

use super::*;
use crate::{Dep, Value, current, halt};
use poniard_model::{Pinned, Retries};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

fn retries(retries: Retries) -> Extra {
    asking(|extra| extra.retries = Some(retries))
}

#[test]
fn an_attempt_after_a_failure_has_the_same_arguments() {
    static SEEN: Mutex<Vec<Vec<String>>> = Mutex::new(Vec::new());
    let _pool = together();
    fn body((words, seven): (Vec<String>, &u64)) -> Result<u64, Cause> {
        let mut seen = SEEN.lock().unwrap();
        seen.push(words);
        if seen.len() < 3 { Err(refused()) } else { Ok(*seven) }
    }
    let seven = spawn(Value::new(7u64), |value| Ok(value), &SITE);
    let words = Value::new(vec!["a".to_owned(), "b".to_owned()]);
    let task = spawn_with((words, Dep::new(seven)), |value| body(value), &SITE, retries(Retries::new(5)));
    assert_eq!(task.get().unwrap(), &7);
    assert_eq!(*SEEN.lock().unwrap(), vec![vec!["a", "b"]; 3]);
}

#[test]
fn an_attempt_that_is_waited_for_inside_a_task_is_run_again() {
    static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);
    let _pool = together();
    fn body(word: String) -> Result<String, Cause> {
        if ATTEMPTS.fetch_add(1, SeqCst) % 3 == 2 { Ok(word) } else { Err(refused()) }
    }
    for _ in 0..times(300) {
        let outer = run(move || {
            let inner = spawn_with(
                Value::new("word".to_owned()),
                |value| body(value),
                &SITE,
                retries(Retries::new(5)),
            );
            Pinned(inner.get().cloned())
        });
        assert_eq!(outer.get().unwrap().0.as_ref().unwrap(), "word");
    }
}

#[test]
fn a_task_that_pauses_before_its_next_attempt_ends_at_a_cancel_or_a_halt() {
    static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);
    fn body(_: u64) -> Result<u64, Cause> {
        ATTEMPTS.fetch_add(1, SeqCst);
        Err(refused())
    }
    let pause = || retries(Retries::new(5).backoff(Duration::from_secs(3600)));
    let _pool = alone();
    for round in 0..times(200) {
        let task = spawn_with(Value::new(1u64), |value| body(value), &SITE, pause());
        let next = spawn(Dep::new(task.clone()), |number| Ok(*number), &SITE);
        if round % 2 == 0 {
            until("the first attempt has begun", || ATTEMPTS.load(SeqCst) > round);
            task.erase().cancel();
        } else {
            until("the first attempt has begun", || ATTEMPTS.load(SeqCst) > round);
            halt();
            assert!(error_of(&task).is_halted());
        }
        error_of(&next);
    }
}

#[test]
fn a_pause_is_kept_whoever_ran_the_attempt_before() {
    static ATTEMPTS: Mutex<Vec<Instant>> = Mutex::new(Vec::new());
    let _pool = alone();
    let pause = Duration::from_millis(30);
    fn body(_: u64) -> Result<(), Cause> {
        ATTEMPTS.lock().unwrap().push(Instant::now());
        Err(refused())
    }
    // Run in place by who waits, so that its first queue entry is still about.
    let outer = run(move || {
        let inner =
            spawn_with(Value::new(1u64), |value| body(value), &SITE, retries(Retries::new(1).backoff(pause)));
        let _later = run(|| ());
        inner.get().is_err()
    });
    assert!(wait(&outer).unwrap());
    let attempts = ATTEMPTS.lock().unwrap();
    assert!(attempts.len() == 2 && attempts[1] - attempts[0] >= pause);
}

#[test]
fn code_of_the_users_that_panics_between_attempts_costs_no_thread() {
    let _pool = together();
    fn body(_: u64) -> Result<u64, Cause> {
        Err(refused())
    }
    for _ in 0..times(100) {
        let task = spawn_with(
            Value::new(1u64),
            |value| body(value),
            &SITE,
            retries(Retries::new(5).filter(|_| panic!("on purpose"))),
        );
        assert!(task.get().is_err());
    }
    assert_eq!(run(|| 1).get().unwrap(), &1);
}

#[test]
fn a_body_that_ignores_its_timeout_holds_up_nobody() {
    static LET_GO: AtomicBool = AtomicBool::new(false);
    let _pool = other(1);
    let deaf = run_with(limited(Duration::from_millis(5)), || {
        until("the test lets go", || LET_GO.load(SeqCst));
        current::is_cancelled()
    });
    let next = spawn(Dep::new(deaf.clone()), |_| Ok(()), &SITE);
    assert!(error_of(&next).is_timeout());
    let other = run(|| 1);
    assert_eq!(wait(&other).unwrap(), &1, "its processor goes on without it");
    LET_GO.store(true, SeqCst);
}

#[test]
fn a_task_whose_time_was_over_is_not_run_again() {
    static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);
    let _pool = together();
    fn body(_: u64) -> Result<u64, Cause> {
        ATTEMPTS.fetch_add(1, SeqCst);
        let until = Instant::now() + Duration::from_millis(50);
        while Instant::now() < until {
            std::thread::yield_now();
        }
        Err(refused())
    }
    let mut extra = retries(Retries::new(5));
    extra.timeout = Some(Duration::from_millis(2));
    let task = spawn_with(Value::new(1u64), |value| body(value), &SITE, extra);
    let ended = task.get().err().unwrap();
    assert!(ended.is_timeout());
    let attempts = ATTEMPTS.load(SeqCst);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(ATTEMPTS.load(SeqCst), attempts, "it had failed");
}
