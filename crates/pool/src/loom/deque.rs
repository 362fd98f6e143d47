//! The owner pushes, grows and pops; thieves steal. Every task runs once, and is complete when it does.

use super::*;
use crate::Local;
use crate::deque::{Deque, Stolen};
use crate::gate::Gate;
use crate::task::{Call, Identity, Ran, TaskRef};
use loom::sync::Arc;
use loom::thread;
use poniard_model::{Site, TaskId};

static SITE: Site = Site::new("loom", file!(), 0);

/// A ready task that reads what was written before it was pushed, and counts its run.
fn task(number: u64, runs: &Arc<Guarded>) -> TaskRef {
    let (written, runs) = (Guarded::new(), runs.clone());
    written.change();
    let work = move || {
        assert_eq!(written.count(), 1);
        runs.change();
    };
    let body = Call(|work: Box<dyn FnOnce() + Send>| Ok(work()));
    let work: Box<dyn FnOnce() + Send> = Box::new(work);
    TaskRef::new(
        Local::new(work),
        body,
        &SITE,
        Identity { id: TaskId(number), epoch: 0 },
        Gate::ready(),
        None,
    )
}

/// Pushes a task, with the engine's reference; gives the handle's.
fn push(deque: &Deque, number: u64, runs: &Arc<Guarded>) -> TaskRef {
    let task = task(number, runs);
    // SAFETY: the engine's reference of a new task is nobody's yet, and this thread owns the deque.
    unsafe { deque.push(TaskRef::from_raw(task.as_raw())) };
    task
}

fn run(task: TaskRef) {
    assert!(task.gate.claim(), "a task is taken once");
    // SAFETY: it was just claimed, and has no inputs.
    let ran = unsafe { task.run() };
    assert!(matches!(ran, Ran::Done));
    // SAFETY: the value is in the slot, and the task is not sealed: it is not needed any more.
    unsafe { task.discard_value() };
}

fn steal_once(deque: &Deque) -> Option<TaskRef> {
    match deque.steal() {
        Stolen::Task(task) => Some(task),
        Stolen::Empty | Stolen::Retry => None,
    }
}

fn pop_all(deque: &Deque) {
    // SAFETY: this thread owns the deque.
    while let Some(task) = unsafe { deque.pop() } {
        run(task);
    }
}

/// `before` tasks lie in the deque; the owner pops one, pushes `after` and pops the rest, against thieves.
fn game(preemptions: usize, before: u64, after: u64, thieves: usize) {
    play_bounded(preemptions, move || {
        let deque = Arc::new(Deque::new());
        let runs: Vec<_> = (0..before + after).map(|_| Arc::new(Guarded::new())).collect();
        let mut handles: Vec<_> = (0..before).map(|task| push(&deque, task, &runs[task as usize])).collect();
        let thieves: Vec<_> = (0..thieves)
            .map(|_| {
                let deque = deque.clone();
                thread::spawn(move || {
                    steal_once(&deque).map(run);
                })
            })
            .collect();
        // SAFETY: this thread owns the deque.
        if let Some(task) = unsafe { deque.pop() } {
            run(task);
        }
        handles.extend((before..before + after).map(|task| push(&deque, task, &runs[task as usize])));
        pop_all(&deque);
        thieves.into_iter().for_each(|thief| thief.join().unwrap());
        pop_all(&deque);
        assert!(runs.iter().all(|runs| runs.count() == 1), "every task runs once");
        assert!(handles.iter().all(TaskRef::is_only), "every entry was given back");
    });
}

#[test]
fn the_last_task_is_the_owners_or_one_thiefs() {
    game(3, 1, 0, 2);
}

#[test]
fn of_two_tasks_each_runs_once() {
    game(3, 2, 0, 2);
}

#[test]
fn what_is_pushed_beside_a_thief_is_complete_when_it_is_stolen() {
    game(3, 0, 2, 1);
}

#[test]
fn a_buffer_that_grows_loses_nothing() {
    game(2, 2, 2, 1);
}

#[test]
fn a_buffer_that_grows_under_two_thieves_loses_nothing() {
    game(2, 2, 2, 2);
}

/// The waiter that wants its own newest task gets it or nothing.
#[test]
fn the_wanted_task_is_popped_or_stolen() {
    play_bounded(3, || {
        let deque = Arc::new(Deque::new());
        let runs: Vec<_> = (0..2).map(|_| Arc::new(Guarded::new())).collect();
        let handles: Vec<_> = (0..2).map(|task| push(&deque, task, &runs[task as usize])).collect();
        let thief = {
            let deque = deque.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    steal_once(&deque).map(run);
                }
            })
        };
        // SAFETY: this thread owns the deque.
        if let Some(task) = unsafe { deque.pop_if(&handles[1]) } {
            assert_eq!(task.id(), TaskId(1));
            run(task);
        }
        thief.join().unwrap();
        pop_all(&deque);
        assert!(runs.iter().all(|runs| runs.count() == 1));
    });
}
