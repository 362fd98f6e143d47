//! How tasks end: well, failed, cancelled, from outside.

use super::counted::{Counted, none_left};
use super::*;
use crate::{Completion, Dep, Many, Opened, Value, current, hold, hold_detached, promise, spawn_detached};
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

#[test]
fn a_chain_runs_in_order_and_a_fan_in_sees_all() {
    let _pool = together();
    let mut last = spawn(Value::new(0u64), |value| Ok(value), &SITE);
    for _ in 0..times(10_000) {
        last = spawn((Dep::new(last), Value::new(1u64)), |(sum, one)| Ok(sum + one), &SITE);
    }
    assert_eq!(last.get().unwrap(), &(times(10_000) as u64));
    let parts = (0..1000u64).map(|part| spawn(Value::new(part), |value| Ok(value), &SITE));
    let sum = spawn(Many::new(parts), |parts| Ok(parts.iter().copied().sum::<u64>()), &SITE);
    assert_eq!(sum.get().unwrap(), &499_500);
    let nothing: [Handle<u64>; 0] = [];
    assert_eq!(spawn(Many::new(nothing), |parts| Ok(parts.len()), &SITE).get().unwrap(), &0);
}

#[test]
fn a_failure_reaches_everything_behind_it_at_once() {
    let _pool = together();
    let (never, completion) = promise::<u64>(&SITE);
    let bad = failing();
    let first = spawn((Dep::new(bad), Dep::new(never.clone())), |(a, b)| Ok(a + b), &SITE);
    let second = spawn((Dep::new(first), Dep::new(never.clone())), |(a, b)| Ok(a + b), &SITE);
    let fan: Vec<_> = (0..100).map(|_| spawn(Dep::new(second.clone()), |sum| Ok(*sum), &SITE)).collect();
    let last = spawn(Many::new(fan), |all| Ok(all.len()), &SITE);
    assert!(last.get().err().unwrap().to_string().contains("refused"));
    assert!(!never.is_ended());
    completion.finish(Ok(1));
    assert_eq!(never.get().unwrap(), &1);
    assert!(spawn(Dep::new(last), |len| Ok(*len), &SITE).get().is_err(), "an input that had failed before");
}

#[test]
fn a_cancel_ends_what_does_not_run_and_tells_what_does() {
    let _pool = alone();
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let (started, start) = std::sync::mpsc::channel();
    let blocked = Arc::new(Mutex::new(blocked));
    let blockers: Vec<_> = (0..PROCESSORS)
        .map(|_| {
            let (blocked, started) = (blocked.clone(), started.clone());
            run(move || {
                started.send(()).unwrap();
                let _ = blocked.lock().unwrap().recv();
                current::is_cancelled()
            })
        })
        .collect();
    (0..PROCESSORS).for_each(|_| start.recv().unwrap());
    let queued = run(|| ());
    let waiting = spawn(Dep::new(queued.clone()), |()| Ok(()), &SITE);
    let (held_handle, held) = hold((), |()| Ok(()), &SITE);
    queued.erase().cancel();
    assert!(waiting.get().err().unwrap().is_cancelled());
    held_handle.erase().cancel();
    assert!(held_handle.get().err().unwrap().is_cancelled());
    held.launch(None);
    blockers[0].erase().cancel();
    drop(release);
    let mut told: Vec<bool> = blockers.iter().map(|blocker| *wait(blocker).unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, [false, true], "a running task ends as it likes");
}

#[test]
fn what_is_ended_from_outside_ends_once() {
    let _pool = together();
    let (dropped, completion) = promise::<u64>(&SITE);
    drop(completion);
    assert!(dropped.get().err().unwrap().is_cancelled());
    let aborted = Arc::new(AtomicBool::new(false));
    let (cancelled, completion) = promise::<u64>(&SITE);
    let told = aborted.clone();
    completion.handle().on_abort(move || told.store(true, SeqCst));
    cancelled.erase().cancel();
    assert!(aborted.load(SeqCst), "who works on it is told");
    assert!(completion.is_cancelled());
    completion.finish(Ok(1));
    assert!(cancelled.get().err().unwrap().is_cancelled());
}

#[test]
fn a_detached_body_ends_its_task_later_or_is_cut_off() {
    static PARKED: Mutex<Vec<Completion<u64>>> = Mutex::new(Vec::new());
    fn keep(mut opened: Opened<Value<u64>>, completion: Completion<u64>) {
        assert_eq!(opened.open(), 7);
        PARKED.lock().unwrap().push(completion);
    }
    let _pool = alone();
    let take = || {
        until("the body has left", || !PARKED.lock().unwrap().is_empty());
        PARKED.lock().unwrap().pop().unwrap()
    };
    let done = spawn_detached(Value::new(7u64), keep, &SITE, Extra::default());
    take().finish(Ok(1));
    assert_eq!(wait(&done).unwrap(), &1);
    // Launched without an extra, and cancelled while the completion is out: only one of the two ends it.
    let (cut, held) = hold_detached(Value::new(7u64), keep, &SITE);
    held.launch(None);
    let completion = take();
    cut.erase().cancel();
    completion.finish(Ok(2));
    assert!(error_of(&cut).is_cancelled());
    let slow = spawn_detached(Value::new(7u64), keep, &SITE, limited(Duration::from_millis(1)));
    let completion = take();
    assert!(error_of(&slow).is_timeout(), "the limit holds for what the body left behind");
    completion.finish(Ok(3));
    // Waited for inside a task, which runs the body in place and must wait on.
    let inner = spawn(
        Value::new(()),
        |()| {
            let inner = spawn_detached(Value::new(7u64), keep, &SITE, Extra::default());
            Ok(inner.get().copied().map_err(|error| Cause::returned(Box::new(error)))? + 1)
        },
        &SITE,
    );
    take().finish(Ok(41));
    assert_eq!(wait(&inner).unwrap(), &42);
}

#[test]
fn a_starter_that_panics_fails_its_task_with_the_panic() {
    static KEPT: Mutex<Option<Completion<u64>>> = Mutex::new(None);
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    fn drops_it(_: Opened<()>, _: Completion<u64>) {
        panic!("in the starter");
    }
    fn keeps_it(_: Opened<()>, completion: Completion<u64>) {
        *KEPT.lock().unwrap() = Some(completion);
        panic!("in the starter");
    }
    fn panics_at_first(_: Opened<()>, completion: Completion<u64>) {
        let call = CALLS.fetch_add(1, SeqCst);
        assert!(call > 0, "the first one");
        completion.finish(Ok(call as u64));
    }
    static ALIVE: AtomicIsize = AtomicIsize::new(0);
    let _pool = together();
    for starter in [drops_it, keeps_it] {
        let counted = asking(|extra| extra.note = Some(Arc::new(Counted::new(&ALIVE))));
        let task = spawn_detached((), starter, &SITE, counted);
        let error = error_of(&task);
        assert!(error.is_panic() && error.to_string().ends_with("in the starter"), "{error}");
    }
    KEPT.lock().unwrap().take().unwrap().finish(Ok(1));
    let retries = asking(|extra| extra.retries = Some(1.into()));
    assert_eq!(wait(&spawn_detached((), panics_at_first, &SITE, retries)).unwrap(), &1);
    none_left(&ALIVE);
}

#[test]
fn a_completion_dropped_by_another_panic_than_its_starters_ends_its_task_too() {
    fn caught_inside(_: Opened<()>, completion: Completion<u64>) {
        let unwinding = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _dropped = completion;
            panic!("on purpose");
        }));
        assert!(unwinding.is_err());
    }
    fn on_another_thread(_: Opened<()>, completion: Completion<u64>) {
        std::thread::spawn(move || {
            let _dropped = completion;
            panic!("on purpose");
        });
    }
    /// The inner task runs in place, on top of the starter, which waits for the end of its own.
    fn in_another_task(_: Opened<()>, completion: Completion<u64>) {
        let own = completion.handle();
        let inner = run(move || -> u64 {
            let _dropped = completion;
            panic!("on purpose");
        });
        assert!(inner.erase().wait().is_ok());
        until("the task has ended", || own.is_ended());
    }
    let _pool = together();
    for starter in [caught_inside, on_another_thread, in_another_task] {
        let task = spawn_detached((), starter, &SITE, Extra::default());
        assert!(error_of(&task).is_cancelled());
    }
}

#[test]
fn ten_thousand_panics_cost_no_thread() {
    let _pool = together();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let tasks: Vec<_> = (0..times(10_000)).map(|_| run(|| -> u64 { panic!("on purpose") })).collect();
    assert!(tasks.iter().all(|task| task.get().err().unwrap().is_panic()));
    std::panic::set_hook(hook);
    assert_eq!(run(|| 1).get().unwrap(), &1);
}
