//! Turns at data: how tasks enter the queues, how turns pass on, and which turns a thread has without being a task.
//!
//! A task enters all its queues at once, after it hangs on its inputs. From then on each queue that it waits in has an edge of
//! it, like an input. A turn ends when the argument that has it is dropped; whoever drops it takes the edges
//! of those back whose turn has come. So a turn is never given to a task whose predecessor is still at the datum, however that
//! one ended.

use super::{circles, context};
use super::{finish, queue};
use crate::task::TaskRef;
use crate::task::access::is_ending;
use crate::task::arg::Wiring;
use crate::task::datum::{InLine, TaskTurns};
use crate::turns::Usage;
use poniard_model::Cause;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};

/// Held while a task enters several queues: then any two such tasks stand in the same order in all queues that they
/// share, and no circle of tasks with one queue each can close between them.
static SEVERAL: Mutex<()> = Mutex::new(());

/// Enters the queues of the task's data; each one in which its turn has not come has an edge of the task. An error when the task
/// must not run: it has the turns that it entered for all the same.
pub(super) fn enter(task: &TaskRef, wiring: &mut Wiring) -> Result<(), Cause> {
    if wiring.accesses.merge().is_err() {
        return Err(Cause::scheduling(
            "it uses the same mutable twice, and wants it alone: give it to the function once, as `&mut`",
        ));
    }
    let guard = wiring.accesses.are_several().then(|| SEVERAL.lock().unwrap_or_else(PoisonError::into_inner));
    let mut waits = 0;
    for entrance in wiring.accesses.iter() {
        // SAFETY: the argument that refers to it lies in the task, and stays while the caller wires it.
        let turns = unsafe { entrance.turns.as_ref() };
        // SAFETY: as above.
        let kept = unsafe { entrance.turn.as_ref() };
        let (turn, comes) = turns.enter(entrance.usage, InLine { task: task.as_non_null(), pass_on });
        // Relaxed: the end of the wiring publishes it; a walk that does not see it yet comes again.
        kept.store(turn, Relaxed);
        waits += u32::from(!comes);
    }
    drop(guard);
    wiring.edges += waits;
    // What was spawned before has no dependents yet. What was held back may have some, and they may be ahead of it.
    if waits > 0 && task.dependents.has_any() && circles::closes(task) {
        return Err(Cause::scheduling(
            "its turn at a mutable comes after that of a task that waits for it: launch it before that task",
        ));
    }
    Ok(())
}

thread_local! {
    /// Those whose turn has come while this thread passes turns on.
    static LATER: Cell<Option<Vec<InLine>>> = const { Cell::new(None) };
}

/// Gives a turn that has ended to `first`, and to whoever else may have it with that one.
fn pass_on(turns: &TaskTurns, first: InLine) {
    // A task that ended without running drops its arguments now, and so ends its own turn: by a list, not by recursion.
    let listed = LATER.try_with(|later| {
        let Some(mut list) = later.take() else {
            later.set(Some(Vec::new()));
            return false;
        };
        list.push(first);
        list.extend(std::iter::from_fn(|| turns.next()));
        later.set(Some(list));
        true
    });
    if listed == Ok(true) {
        return;
    }
    come(first);
    while let Some(next) = turns.next() {
        come(next);
    }
    // A thread that is ending keeps no list.
    let next = || LATER.try_with(pop).ok().flatten();
    while let Some(next) = next() {
        come(next);
    }
}

fn pop(later: &Cell<Option<Vec<InLine>>>) -> Option<InLine> {
    let mut list = later.take()?;
    let next = list.pop();
    later.set(next.map(|_| list));
    next
}

/// Takes the queue's edge of a task back.
fn come(next: InLine) {
    let Some(ready) = finish::satisfy(next.task) else { return };
    match context::current() {
        // The body before it has just returned here, and what both use is in this thread's cache.
        Some(context) if is_ending() => context.hand_on(ready),
        _ => queue(ready),
    }
}

thread_local! {
    /// The queues in which this thread has turns without being a task.
    static HELD: RefCell<Vec<(NonNull<TaskTurns>, Usage)>> = const { RefCell::new(Vec::new()) };
}

/// The queues in which this thread has turns without being a task.
pub(super) fn held_here() -> Vec<(NonNull<TaskTurns>, Usage)> {
    HELD.try_with(|held| held.borrow().clone()).unwrap_or_default()
}

/// This thread has a turn, until this is dropped.
pub(crate) struct Holds(());

impl Holds {
    pub(crate) fn begin(turns: &TaskTurns, usage: Usage) -> Holds {
        HELD.with_borrow_mut(|held| held.push((NonNull::from(turns), usage)));
        Holds(())
    }
}

impl Drop for Holds {
    fn drop(&mut self) {
        HELD.with_borrow_mut(|held| held.pop());
    }
}
