//! Cancelling.

use crate::alone::alone;
use crate::signals::{Gate, LIMIT};
use poniard::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

/// A task that counts its runs, after `gate`.
fn counting_after(gate: &Gate) -> (DTask<Pinned<usize>>, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let inside = runs.clone();
    (spawn!(move _gate = &gate.task => inside.fetch_add(1, Ordering::SeqCst)), runs)
}

#[test]
fn a_waiting_task_fails_at_once_and_with_it_all_that_depend_on_it() {
    alone(2, || {
        let gate = Gate::running();
        let (task, runs) = counting_after(&gate);
        let dependent = spawn!((|x: &Pinned<usize>| x.0)(&task));
        task.cancel();
        assert!(task.is_ready() && dependent.is_ready());
        let error = dependent.fetch().unwrap_err();
        assert!(error.is_cancelled() && !error.is_halted(), "{error}");
        assert_eq!(error.root().task().unwrap().id, task.id());
        gate.open();
        gate.task.wait();
        assert_eq!(spawn!(|| 1).fetch().unwrap(), 1);
        assert_eq!(runs.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_queued_task_fails_at_once() {
    alone(1, || {
        let gate = Gate::running();
        let runs = Arc::new(AtomicUsize::new(0));
        let inside = runs.clone();
        let task = spawn!(move || inside.fetch_add(1, Ordering::SeqCst));
        let placed = spawn!(|| 1, priority = 3);
        task.cancel();
        placed.cancel();
        assert!(task.is_ready() && task.fetch_ref().unwrap_err().is_cancelled());
        assert!(placed.is_ready() && placed.fetch().unwrap_err().is_cancelled());
        gate.open();
        assert_eq!(spawn!(|| 1).fetch().unwrap(), 1);
        assert_eq!(runs.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_running_task_sees_that_it_is_cancelled() {
    alone(1, || {
        let (send, runs) = channel();
        let loops = move || -> Result<(), TaskError> {
            send.send(()).unwrap();
            loop {
                check_cancelled()?;
                std::thread::yield_now();
            }
        };
        let task = spawn!(move => loops()?);
        runs.recv_timeout(LIMIT).unwrap();
        task.cancel();
        let error = task.fetch().unwrap_err();
        assert!(error.is_cancelled(), "{error}");
        assert_eq!(error.task().unwrap().id, task.id());
        assert!(!cancelled() && check_cancelled().is_ok(), "outside tasks nothing is cancelled");
    });
}

#[test]
fn a_running_task_that_does_not_look_ends_as_if_nothing_had_happened() {
    alone(1, || {
        let gate = Gate::running();
        gate.task.cancel();
        assert!(!gate.task.is_ready());
        gate.open();
        gate.task.fetch().unwrap();
    });
}

#[test]
fn a_task_that_has_ended_is_left_as_it_is() {
    let task = spawn!(|| 1);
    task.wait();
    task.cancel();
    assert_eq!(task.fetch().unwrap(), 1);
    task.any().cancel();
    assert_eq!(task.fetch().unwrap(), 1);
}

#[test]
fn a_cancelled_task_gives_its_arguments_back() {
    alone(2, || {
        let (gate, kept) = (Gate::running(), Arc::new(()));
        let captured = kept.clone();
        let task = spawn!(move _gate = &gate.task => drop(captured));
        task.cancel();
        drop(task);
        gate.open();
        gate.task.wait();
        crate::signals::eventually(|| Arc::strong_count(&kept) == 1);
    });
}

#[test]
fn a_cancel_at_any_moment_ends_a_task_one_way_or_the_other() {
    alone(2, || {
        for _ in 0..2000 {
            let task = spawn!((|x| x)(1));
            let dependent = spawn!((|x: &i32| x + 1)(&task));
            std::thread::scope(|scope| {
                scope.spawn(|| task.cancel());
                let found = dependent.fetch();
                assert!(
                    found.as_ref().is_ok_and(|x| *x == 2) || found.is_err_and(|error| error.is_cancelled())
                );
            });
            assert_eq!(task.fetch().is_ok(), dependent.fetch().is_ok());
        }
    });
}
