//! Circles of waits: a running task that waits in the middle for one that cannot end before it does.
//!
//! What cannot end before a task does hangs below it: its dependents, the tasks in whose middle threads wait for it, and what
//! hangs below those. A wait closes a circle when its target is found there. A few steps of that walk are taken
//! before a thread parks, and all of them again, ever more rarely, while it stays parked: so a circle through millions of
//! waiting tasks is found as well, and a wait that is not part of one costs next to nothing.
//!
//! **Why the walk may read lists of other tasks.** All that it comes to is blocked by the walker's own task: it hangs on a task
//! that has not ended, or its thread is parked until such a task ends. So none of it can end well meanwhile. It can
//! fail, be cancelled, run out of time, or be ended by a completion: all of these seal their lists under the lock that the
//! walk holds ([`sealed`]). An edge that hangs in a list that is not sealed keeps its task alive, and a parked thread keeps the
//! tasks alive in whose middle it is.

use crate::edge::{Chain, Ended, Waiter};
use crate::task::arg::TaskWaiter;
use crate::task::watch::Parked;
use crate::task::{Header, TaskRef};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Waiters that a thread looks at before it parks.
const FEW: usize = 64;
/// How long a thread is parked before it looks at all; each further pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The part of the time that walks may take, of one thread and of all together.
const SHARE: u32 = 50;

/// Who holds it may walk, or end a task that others wait for. Inside: when the next long walk may be.
static WALKS: Mutex<Option<Instant>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Instant>> {
    WALKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seals the list of a task that something else than the return of its function ends.
pub(super) fn sealed(task: &TaskRef, ended: Ended) -> Chain {
    let _nobody_walks = lock();
    task.dependents.seal(ended)
}

/// A wait would close a circle.
#[derive(Debug)]
pub(super) struct Circular;

/// Hangs a thread on the task that it is to wait for; false when the task has ended.
pub(super) fn hang(parked: &Arc<Parked>, target: &TaskRef) -> Result<bool, Circular> {
    // Held over the push: of two waits that close a circle together, the later one finds the earlier one.
    let _nobody_seals = lock();
    if reaches(parked.frames(), target, FEW) == Some(true) {
        return Err(Circular);
    }
    Ok(parked.hang(target))
}

/// A thread that hangs on a task. Dropped, by a panic before it waits, it lets no walk follow the thread any more.
pub(super) struct Hanging<'a>(pub(super) &'a Parked);

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        let _nobody_walks = lock();
        self.0.leave();
    }
}

/// Waits until the task has ended on which the thread hangs.
pub(super) fn wait(parked: &Arc<Parked>, target: &TaskRef) -> Result<(), Circular> {
    let mut period = FIRST_PAUSE;
    let mut pause = period;
    while !parked.wait(pause) {
        let mut rest = lock();
        let start = Instant::now();
        if let Some(left) = rest.and_then(|rest| rest.checked_duration_since(start)) {
            // Not in step with the thread that has just walked: it would be first the next time as well.
            pause = left.max(period / 2);
            continue;
        }
        if reaches(parked.frames(), target, usize::MAX) == Some(true) {
            // Under the lock: no walk follows a thread that goes on.
            parked.leave();
            return Err(Circular);
        }
        let (now, cost) = (Instant::now(), start.elapsed());
        *rest = now.checked_add(cost * SHARE);
        period = period.saturating_mul(2).max(cost * SHARE);
        pause = period;
    }
    Ok(())
}

/// Whether `target` hangs below one of `tasks`, or is one; `None` when there is more than `most` to look at. The lock is held, and
/// this thread is in the middle of `tasks`.
fn reaches(tasks: &[NonNull<Header>], target: &TaskRef, most: usize) -> Option<bool> {
    let target = target.as_non_null();
    if tasks.contains(&target) {
        return Some(true);
    }
    let mut seen: HashSet<NonNull<Header>> = HashSet::new();
    let mut next = tasks.to_vec();
    let mut steps = 0;
    while let Some(task) = next.pop() {
        // SAFETY: it is kept alive, see the module's page.
        let list = &unsafe { task.as_ref() }.dependents;
        let look = |waiter: TaskWaiter| {
            let below: &[NonNull<Header>] = match &waiter {
                Waiter::Task(task) => std::slice::from_ref(task),
                // SAFETY: while it hangs in a list, the list has a reference to it.
                Waiter::Parked(parked) => unsafe { parked.as_ref() }.waiting_frames(),
                Waiter::Watcher(_) => &[],
            };
            for task in below {
                if *task == target {
                    return ControlFlow::Break(Some(true));
                }
                if seen.insert(*task) {
                    next.push(*task);
                }
            }
            steps += 1;
            if steps > most { ControlFlow::Break(None) } else { ControlFlow::Continue(()) }
        };
        // SAFETY: nobody can seal the list now, see the module's page.
        if let ControlFlow::Break(found) = unsafe { list.walk(look) } {
            return found;
        }
    }
    Some(false)
}
