//! Circles of waits: a running task that waits in the middle for one that cannot end before it does.
//!
//! What cannot end before a task does hangs below it: its dependents, the tasks in whose middle threads wait for it, and what
//! hangs below those; those that wait for a turn at data which it uses; and those that are to read what it makes again. A wait
//! closes a circle when its target is found there. A few steps of that walk are taken before a thread parks, and all of them
//! again, ever more rarely, while it stays parked: so a circle through millions of waiting tasks is found as well, and a wait
//! that is not part of one costs next to nothing.
//!
//! **Why the walk may read lists of other tasks.** All that it comes to is blocked by the walker's own task: it hangs on a task
//! that has not ended, or its thread is parked until such a task ends. So none of it can end well meanwhile. It can
//! fail, be cancelled, run out of time, or be ended by a completion: all of these seal their lists under the lock that the
//! walk holds ([`sealed`]). An edge that hangs in a list that is not sealed keeps its task alive, and a parked thread keeps the
//! tasks alive in whose middle it is. A task that waits in the queue of a datum has an edge out too, and it comes back only
//! when those before it have dropped their arguments, which tasks that are blocked do not. A task that waits for memory, and with it
//! for what another one makes again, is found where it is parked, and stays there with its arguments while the walk has that
//! place locked.

use super::admission::Parking;
use super::again;
use crate::edge::{Chain, Ended, Waiter};
use crate::task::access::AccessTo;
use crate::task::arg::TaskWaiter;
use crate::task::datum::TaskTurns;
use crate::task::watch::Parked;
use crate::task::{Header, TaskRef};
use crate::turns::Usage;
use std::collections::{HashMap, HashSet};
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
    if reaches(parked, target, FEW) == Some(true) {
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
        if reaches(parked, target, usize::MAX) == Some(true) {
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

/// Whether a task that is being wired, and has entered the queues of its data, hangs below itself.
pub(super) fn closes(task: &TaskRef) -> bool {
    let _nobody_seals = lock();
    Walk::new(task, usize::MAX).run(vec![task.as_non_null()]) == ControlFlow::Break(Found::Target)
}

/// Whether `target` hangs below one of the tasks in whose middle the thread is or below what else it holds, or is one of them;
/// `None` when there is more than `most` to look at. The lock is held, and the thread is this one.
fn reaches(parked: &Parked, target: &TaskRef, most: usize) -> Option<bool> {
    if parked.frames().contains(&target.as_non_null()) {
        return Some(true);
    }
    let mut walk = Walk::new(target, most);
    let mut found = walk.behind_held(parked);
    if found.is_continue() {
        found = walk.run(parked.frames().to_vec());
    }
    match found {
        ControlFlow::Break(Found::Target) => Some(true),
        ControlFlow::Break(Found::TooMuch) => None,
        ControlFlow::Continue(()) => Some(false),
    }
}

/// Why a walk ends before all is seen.
#[derive(Debug, PartialEq)]
enum Found {
    Target,
    TooMuch,
}

/// A walk to what cannot go on before some tasks end.
struct Walk {
    target: NonNull<Header>,
    seen: HashSet<NonNull<Header>>,
    /// Seen, and still to be walked from.
    next: Vec<NonNull<Header>>,
    /// Of each queue, the first turn behind which all was seen.
    queues: HashMap<NonNull<TaskTurns>, u64>,
    /// The tasks that wait for memory, locked from when the walk has first come to one that makes something again.
    parking: Option<Parking>,
    steps: usize,
    most: usize,
}

impl Walk {
    fn new(target: &TaskRef, most: usize) -> Walk {
        let target = target.as_non_null();
        let (seen, next, queues) = Default::default();
        Walk { target, seen, next, queues, parking: None, steps: 0, most }
    }

    fn run(&mut self, from: Vec<NonNull<Header>>) -> ControlFlow<Found> {
        self.next.extend(from);
        while let Some(task) = self.next.pop() {
            // SAFETY: it is kept alive, see the module's page.
            let list = &unsafe { task.as_ref() }.dependents;
            // SAFETY: nobody can seal the list now, see the module's page.
            unsafe { list.walk(|waiter| self.waiter(waiter)) }?;
            self.behind(task)?;
        }
        ControlFlow::Continue(())
    }

    fn waiter(&mut self, waiter: TaskWaiter) -> ControlFlow<Found> {
        match waiter {
            Waiter::Task(task) => self.found(task)?,
            Waiter::Parked(parked) => {
                // SAFETY: while it hangs in a list, the list has a reference to it.
                let parked = unsafe { parked.as_ref() };
                if !parked.has_left() {
                    parked.frames().iter().try_for_each(|task| self.found(*task))?;
                    self.behind_held(parked)?;
                }
            }
            Waiter::Watcher(_) => {}
        }
        self.step()
    }

    fn found(&mut self, task: NonNull<Header>) -> ControlFlow<Found> {
        if task == self.target {
            return ControlFlow::Break(Found::Target);
        }
        if self.seen.insert(task) {
            self.next.push(task);
        }
        ControlFlow::Continue(())
    }

    fn step(&mut self) -> ControlFlow<Found> {
        self.steps += 1;
        if self.steps > self.most { ControlFlow::Break(Found::TooMuch) } else { ControlFlow::Continue(()) }
    }

    /// Those that wait for the turns of a task to end.
    fn behind(&mut self, task: NonNull<Header>) -> ControlFlow<Found> {
        let mut turns = Vec::new();
        let mut visit = |access: &AccessTo<'_>| {
            // Without a turn nobody waits for it.
            let entered = access.turns.filter(|_| access.turn != 0);
            turns.extend(entered.map(|queue| (NonNull::from(queue), access.turn, access.usage)));
        };
        // SAFETY: it is blocked, so its arguments stay, see the module's page.
        unsafe { TaskRef::accesses(task, &mut visit) };
        turns.into_iter().try_for_each(|(queue, turn, usage)| self.behind_turn(queue, turn, usage))?;
        self.behind_remade(task)
    }

    /// Those that are parked until what a task makes again is there.
    fn behind_remade(&mut self, task: NonNull<Header>) -> ControlFlow<Found> {
        // SAFETY: it is kept alive, see the module's page.
        let Some(chunk) = again::made_by(unsafe { task.as_ref() }) else { return ControlFlow::Continue(()) };
        let parking = self.parking.get_or_insert_with(Parking::lock);
        self.steps += parking.len();
        if self.steps > self.most {
            return ControlFlow::Break(Found::TooMuch);
        }
        let readers = parking.readers(chunk);
        for reader in readers {
            self.found(reader)?;
            self.step()?;
        }
        ControlFlow::Continue(())
    }

    /// Those that wait for the turns of a thread to end which it has without being a task.
    fn behind_held(&mut self, parked: &Parked) -> ControlFlow<Found> {
        parked.held().iter().try_for_each(|(queue, usage)| self.behind_turn(*queue, 0, *usage))
    }

    fn behind_turn(&mut self, queue: NonNull<TaskTurns>, turn: u64, usage: Usage) -> ControlFlow<Found> {
        let first = self.queues.entry(queue).or_insert(u64::MAX);
        if *first <= turn {
            return ControlFlow::Continue(());
        }
        *first = turn;
        let mut waiting = Vec::new();
        // SAFETY: the argument of a task, or a thread, that has a turn there keeps the datum.
        unsafe { queue.as_ref() }.behind(turn, usage, |next| waiting.push(next.task));
        for task in waiting {
            self.found(task)?;
            self.step()?;
        }
        ControlFlow::Continue(())
    }
}
