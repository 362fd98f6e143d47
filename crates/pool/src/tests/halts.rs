//! Halts and stops: what they end, what they do not touch, and what has outlived them.

use super::*;
use crate::{Completion, Dep, Opened, Value, current, halt, hold, promise, spawn_detached};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

#[test]
fn a_halt_ends_everything_but_what_comes_later() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    let _pool = alone();
    let running: Vec<_> = (0..PROCESSORS)
        .map(|_| {
            run(|| {
                SEEN.fetch_add(1, SeqCst);
                while !current::is_cancelled() {
                    std::thread::yield_now();
                }
                run(|| ()).get().is_err()
            })
        })
        .collect();
    until("all processors are taken", || SEEN.load(SeqCst) == PROCESSORS);
    let ready: Vec<_> =
        (0..100u64).map(|number| spawn(Value::new(number), |value| Ok(value), &SITE)).collect();
    let placed = run_with(asking(|extra| extra.demand.priority = 1), || 1);
    let (outside, completion) = promise::<u64>(&SITE);
    let waiting = spawn((Dep::new(outside.clone()), Dep::new(ready[7].clone())), |(a, b)| Ok(a + b), &SITE);
    halt();
    assert!(waiting.get().err().unwrap().is_halted());
    assert!(ready.iter().all(|task| task.get().err().unwrap().is_halted()));
    assert!(placed.get().err().unwrap().is_halted());
    assert!(outside.get().err().unwrap().is_halted());
    assert!(running.iter().all(|task| error_of(task).is_halted()));
    drop(completion);
    assert_eq!(run(|| 1).get().unwrap(), &1);
}

#[test]
fn what_is_spawned_after_a_halt_runs_and_what_was_spawned_before_ends() {
    let _pool = alone();
    let over = Arc::new(AtomicBool::new(false));
    std::thread::scope(|threads| {
        let busy = over.clone();
        threads.spawn(move || {
            while !busy.load(SeqCst) {
                let first = spawn(Value::new(1u64), |value| Ok(value), &SITE);
                let behind: Vec<_> =
                    (0..5).map(|_| spawn(Dep::new(first.clone()), |value| Ok(*value), &SITE)).collect();
                for task in &behind {
                    assert!(task.get().is_ok_and(|value| *value == 1) || error_of(task).is_halted());
                }
            }
        });
        for round in 0..times(3000) as u64 {
            halt();
            assert_eq!(spawn(Value::new(round), |value| Ok(value), &SITE).get().unwrap(), &round);
        }
        over.store(true, SeqCst);
    });
}

#[test]
fn a_held_task_is_spawned_when_it_is_launched() {
    let _pool = alone();
    let (handle, held) = hold(Value::new(1u64), |value| Ok(value), &SITE);
    halt();
    held.launch(None);
    assert_eq!(handle.get().unwrap(), &1);
}

#[test]
fn a_promise_that_a_halted_body_makes_fails() {
    let _pool = alone();
    let (made, was_made) = channel();
    let body = run(move || {
        while !current::is_cancelled() {
            std::thread::yield_now();
        }
        made.send(promise::<u64>(&SITE)).unwrap();
    });
    until("the body runs", || crate::status().running == 1);
    halt();
    let (handle, completion) = was_made.recv_timeout(PATIENCE).unwrap();
    assert!(error_of(&handle).is_halted());
    completion.finish(Ok(1));
    assert!(error_of(&body).is_halted());
}

#[test]
fn detached_tasks_are_not_missed_by_a_halt_or_a_cancel() {
    static KEPT: Mutex<Vec<Completion<u64>>> = Mutex::new(Vec::new());
    fn keep(_: Opened<Value<u64>>, completion: Completion<u64>) {
        KEPT.lock().unwrap().push(completion);
    }
    let _pool = alone();
    for round in 0..times(2000) as u64 {
        let task = spawn_detached(Value::new(round), keep, &SITE, Extra::default());
        if round % 2 == 0 {
            halt()
        } else {
            task.erase().cancel()
        }
        assert!(error_of(&task).is_cancelled());
    }
    KEPT.lock().unwrap().clear();
}

#[test]
fn tasks_that_are_spawned_while_the_pool_stops_end() {
    let pool = other(2);
    let over = Arc::new(AtomicBool::new(false));
    std::thread::scope(|threads| {
        let busy = over.clone();
        threads.spawn(move || {
            while !busy.load(SeqCst) {
                let first = run_with(asking(|extra| extra.demand.priority = 1), || 1u64);
                let behind = spawn(Dep::new(first), |value| Ok(*value), &SITE);
                assert!(wait(&behind).is_ok_and(|value| *value == 1) || error_of(&behind).is_halted());
            }
        });
        for _ in 0..times(300) {
            stop(PATIENCE, || ());
            let _ = start(Config { threads: 2, memory: MEMORY });
        }
        over.store(true, SeqCst);
    });
    drop(pool);
}

#[test]
fn two_halts_at_once_are_two_halts() {
    let _pool = alone();
    for _ in 0..times(1000) {
        let (never, completion) = promise::<u64>(&SITE);
        let waiting = spawn(Dep::new(never), |value| Ok(*value), &SITE);
        std::thread::scope(|threads| (0..2).for_each(|_| drop(threads.spawn(halt))));
        assert!(error_of(&waiting).is_halted());
        drop(completion);
        assert_eq!(run(|| 1).get().unwrap(), &1);
    }
}

#[test]
fn a_stopped_pool_is_followed_by_another() {
    let pool = other(1);
    let waits = promise::<u64>(&SITE);
    assert_eq!(run(|| 1).get().unwrap(), &1);
    stop(PATIENCE, || ());
    assert!(waits.0.get().err().unwrap().is_halted());
    start(Config { threads: 1, memory: MEMORY }).unwrap();
    assert_eq!(run(|| 2).get().unwrap(), &2);
    drop(pool);
}

/// Nothing of a body that goes on after its pool has stopped reaches the next pool: not its processor, not what it spawns.
#[test]
fn a_body_that_outlives_its_pool_leaves_the_next_one_alone() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let pool = other(1);
    let (release, blocked) = channel::<()>();
    let (spawned, was_spawned) = channel();
    let body = run(move || {
        blocked.recv().unwrap();
        let late = run(|| 1u64);
        let (never, completion) = promise::<u64>(&SITE);
        let waits = std::thread::spawn(move || completion.finish(Ok(1)));
        // It parks, and lets its processor go: the one of the pool that was stopped.
        let _ = never.get();
        waits.join().unwrap();
        spawned.send(late).unwrap();
    });
    until("the body runs", || crate::status().running == 1);
    stop(Duration::from_millis(1), || ());
    start(Config { threads: 1, memory: MEMORY }).unwrap();
    let (go, gone) = channel::<()>();
    let blocker = run(move || gone.recv().unwrap());
    release.send(()).unwrap();
    let late: Handle<u64> = was_spawned.recv_timeout(PATIENCE).unwrap();
    assert!(error_of(&body).is_halted());
    assert!(error_of(&late).is_halted(), "what it spawns belongs to the past");
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            run(|| {
                MOST.fetch_max(RUNNING.fetch_add(1, SeqCst) + 1, SeqCst);
                RUNNING.fetch_sub(1, SeqCst);
            })
        })
        .collect();
    assert!(tasks.iter().all(|task| !task.is_ended()), "the one processor is taken");
    go.send(()).unwrap();
    wait(&blocker).unwrap();
    tasks.iter().for_each(|task| *wait(task).unwrap());
    assert_eq!(MOST.load(SeqCst), 1);
    drop(pool);
}
