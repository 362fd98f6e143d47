//! The end of a task: its dependents become ready or fail, its waiters wake.

use super::context::{self, Counts};
use super::{admission, again, circles, keeping, queue};
use crate::edge::{Chain, Ended, Waiter};
use crate::gate::{Claim, Satisfied};
use crate::task::arg::TaskWaiter;
use crate::task::watch::{Parked, Watcher};
use crate::task::{GATED, Header, PLACED, TaskRef};
use poniard_model::{Cause, TaskError};
use poniard_trace::{Event, Outcome, note};
use std::ptr::NonNull;

/// Ends a task whose value is in its slot. Gives the first dependent that is now ready; the others are queued.
#[inline]
pub(crate) fn done(task: TaskRef) -> Option<TaskRef> {
    finish_done(task, |task| task.dependents.seal(Ended::Done))
}

/// As [`done`], for a task whose end is not the return of its function.
pub(crate) fn done_from_outside(task: TaskRef) -> Option<TaskRef> {
    finish_done(task, |task| circles::sealed(task, Ended::Done))
}

#[inline]
fn finish_done(task: TaskRef, seal: impl FnOnce(&TaskRef) -> Chain) -> Option<TaskRef> {
    note(|| Event::Finished { task: task.id(), outcome: Outcome::Done });
    if task.may_be_large() || task.flags() & GATED != 0 {
        return keeping::finish(task, seal);
    }
    let chain = seal(&task);
    // Before the dependents run: the last of them may want to take the value out.
    drop(task);
    satisfy_all(chain)
}

/// Takes back the edges of everything in the chain; gives the first task that is ready now, the others are queued.
#[inline]
pub(crate) fn satisfy_all(mut chain: Chain) -> Option<TaskRef> {
    satisfy_each(std::iter::from_fn(|| chain.pop()))
}

/// As [`satisfy_all`], of waiters that were taken off the chain.
#[inline]
pub(crate) fn satisfy_each(waiters: impl IntoIterator<Item = TaskWaiter>) -> Option<TaskRef> {
    let mut first = None;
    for waiter in waiters {
        match waiter {
            TaskWaiter::Task(dependent) => {
                if let Some(ready) = satisfy(dependent)
                    && let Some(second) = take_first(&mut first, ready)
                {
                    queue(second);
                }
            }
            other => wake(other),
        }
    }
    first
}

/// Keeps the first ready task that needs no placing; gives others back.
#[inline]
fn take_first(first: &mut Option<TaskRef>, ready: TaskRef) -> Option<TaskRef> {
    if first.is_some() || ready.flags() & PLACED != 0 {
        return Some(ready);
    }
    *first = Some(ready);
    None
}

/// Takes one edge of a task back; gives the task when that made it ready, with the engine's reference.
#[inline]
pub(super) fn satisfy(dependent: NonNull<Header>) -> Option<TaskRef> {
    // SAFETY: the edge kept the dependent alive, and is only now taken back.
    match unsafe { dependent.as_ref() }.gate.satisfy() {
        Satisfied::Waiting => None,
        // SAFETY: of a waiting task, the engine's reference belongs to its last edge.
        Satisfied::Ready => Some(unsafe { TaskRef::from_raw(dependent.as_ptr()) }),
        Satisfied::Spent => {
            // SAFETY: as above.
            let spent = unsafe { TaskRef::from_raw(dependent.as_ptr()) };
            if spent.flags() & GATED != 0 {
                // It may have been told of an input after the task had failed.
                admission::failed(&spent);
            }
            // SAFETY: the task ended without running, and its last edge is back.
            unsafe { spent.drop_arguments() };
            None
        }
    }
}

fn wake(waiter: TaskWaiter) {
    match waiter {
        // SAFETY: the chain hands each waiter out once.
        Waiter::Parked(parked) => unsafe { Parked::wake(parked) },
        // SAFETY: as above.
        Waiter::Watcher(watcher) => unsafe { Watcher::notify(watcher) },
        Waiter::Task(_) => unreachable!("tasks are satisfied, not woken"),
    }
}

/// Ends a task with `cause`, and with it everything that depends on it. The caller has the right to end it.
/// `attempt` is 0 when it never started.
#[cold]
#[inline(never)]
pub(crate) fn fail(task: &TaskRef, attempt: u32, cause: Cause) {
    let error = TaskError::new(task.as_failed(attempt), cause);
    fail_with(task, error);
}

/// Ends a task with `error`, and with it everything that depends on it, without recursion.
pub(crate) fn fail_with(task: &TaskRef, error: TaskError) {
    // Dependents that were claimed here, whose edge is not taken back yet: it keeps them alive.
    let mut claimed: Vec<NonNull<Header>> = Vec::new();
    seal_failed(task, error.clone(), &mut claimed);
    while let Some(dependent) = claimed.pop() {
        // SAFETY: its edge, which we have not taken back, keeps it alive.
        let header = unsafe { dependent.as_ref() };
        // SAFETY: as above; the extra count is given back at the end of the block.
        let borrowed = std::mem::ManuallyDrop::new(unsafe { TaskRef::from_raw(dependent.as_ptr()) });
        if header.resolve() {
            let upstream = TaskError::new(header.as_failed(0), Cause::upstream(&error));
            seal_failed(&borrowed, upstream, &mut claimed);
        }
        let ready = satisfy(dependent);
        debug_assert!(ready.is_none(), "a claimed task does not become ready");
    }
}

/// Writes the error, seals the task and claims its dependents.
fn seal_failed(task: &TaskRef, error: TaskError, claimed: &mut Vec<NonNull<Header>>) {
    note(|| Event::Finished { task: task.id(), outcome: Outcome::Failed });
    Counts::add_one(&context::get().counts.failed);
    // In this order: else nobody seems to make what others wait for.
    again::failed(task, &error);
    if task.flags() & GATED != 0 {
        admission::failed(task);
    }
    // SAFETY: the caller has the right to end the task.
    unsafe { task.put_error(error) };
    let mut chain = circles::sealed(task, Ended::Failed);
    while let Some(waiter) = chain.pop() {
        match waiter {
            TaskWaiter::Task(dependent) => {
                // SAFETY: its edge keeps it alive until `satisfy`.
                match unsafe { dependent.as_ref() }.gate.input_failed() {
                    Claim::Won { .. } => claimed.push(dependent),
                    Claim::Lost => {
                        let ready = satisfy(dependent);
                        debug_assert!(ready.is_none(), "a poisoned task does not become ready");
                    }
                }
            }
            other => wake(other),
        }
    }
}
