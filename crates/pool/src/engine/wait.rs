//! Waiting for a task.
//!
//! Inside a task, in this order: the target has ended; or it is ready and nobody has it, then it is run right here, like
//! a call; or this thread lets go of its processor, so that others go on, and parks. Never is another task run on top of
//! a waiting one: it could want a lock that the waiting one holds, it could take as long as it likes, and the stack would
//! grow with the number of tasks in flight.
//!
//! Outside tasks it is the same for the program's own thread, except that it borrows a processor to run the target, if one
//! can be had. Nor does it run anything else meanwhile: that could wait for something that the program does after this wait.

use super::circles::{Circular, Hanging};
use super::context::{self, Context};
use super::{Engine, admission, circles, get, queue, turns};
use crate::crew::THREADS_MAX;
use crate::task::ticket::ask_for;
use crate::task::watch::Parked;
use crate::task::{DETACHED, Header, PLACED, TaskRef};
use poniard_model::{Cause, TaskError, TaskId};
use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;
use std::time::Duration;

/// Looks at a target that runs elsewhere before the thread parks.
const LOOKS: u32 = 100;
/// Looks of the program's thread at its target before it parks.
const IDLE_LOOKS: u32 = 400;

/// Why a task cannot be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitError {
    /// A task waits for itself.
    Itself,
    /// A task waits for one that waits for it.
    Circular(TaskId),
    /// A region holds the task back, and this thread is the one that would end the region.
    Held,
    /// Too many tasks wait in the middle.
    TooDeep,
}

thread_local! {
    /// How many regions of this thread hold tasks back.
    static HOLDING: Cell<u32> = const { Cell::new(0) };
}

/// This thread is inside a region that holds tasks back, until this is dropped.
#[derive(Debug)]
pub struct Holding(());

impl Holding {
    /// Begins a region that holds tasks back.
    pub fn begin() -> Holding {
        HOLDING.set(HOLDING.get() + 1);
        Holding(())
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        HOLDING.set(HOLDING.get() - 1);
    }
}

/// Waits until `task` has ended.
#[inline]
pub(crate) fn until_ended(task: &TaskRef) -> Result<(), WaitError> {
    if task.dependents.ended().is_some() {
        return Ok(());
    }
    if task.gate.is_held() && HOLDING.get() > 0 {
        return Err(WaitError::Held);
    }
    let context = context::get();
    // A body that has outlived its pool still belongs to it, though another one may run by now.
    let engine = context.employer().unwrap_or_else(get);
    let running = context.running();
    // Between tasks a thread with a processor may still run code of the user's: a destructor, a filter of retries.
    if running.is_none() && context.employer().is_none() {
        return outside(engine, context, task);
    }
    if claim_and_run(engine, context, task) { Ok(()) } else { inside(engine, context, running, task) }
}

/// Waits in the middle of the task `running`, or between two, for one that others run.
#[cold]
#[inline(never)]
fn inside(
    engine: &'static Engine,
    context: &'static Context,
    running: Option<&Header>,
    task: &TaskRef,
) -> Result<(), WaitError> {
    if running.is_some_and(|running| std::ptr::eq(running, task.as_raw())) {
        return Err(WaitError::Itself);
    }
    ask_for(task);
    for _ in 0..LOOKS {
        if task.dependents.ended().is_some() {
            return Ok(());
        }
        std::hint::spin_loop();
    }
    let paused = admission::Paused::now(context);
    if !context.begin_wait(engine) {
        return Err(WaitError::TooDeep);
    }
    let parked = Parked::new(context.frames().map(NonNull::from).collect(), turns::held_here());
    let mut held = None;
    let waited = circles::hang(&parked, task).and_then(|hangs| {
        if !hangs {
            return Ok(());
        }
        let hanging = Hanging(&parked);
        held = let_go(engine, context);
        let waited = circles::wait(&parked, task);
        // Woken, or left already.
        std::mem::forget(hanging);
        waited
    });
    context.end_wait(engine, held);
    drop(paused);
    waited.map_err(|Circular| WaitError::Circular(task.id()))
}

/// Lets go of all that the running task holds; gives the processor that was among it.
fn let_go(engine: &'static Engine, context: &'static Context) -> Option<u32> {
    let processor = context.take_processor();
    if let Some(processor) = processor {
        engine.release(processor);
    }
    engine.end_assignment(context.take_assignment());
    processor
}

/// Whether a thread that waits for the task may run it. Not one that the board places; and not one with a time limit,
/// whose body may go on after its task has ended, and would hold up the thread that waited.
fn runs_in_place(task: &TaskRef) -> bool {
    task.flags() & PLACED == 0 && task.extra().is_none_or(|extra| extra.timeout.is_none())
}

/// Runs the target right here, if it is ready and nobody has it.
#[inline]
fn claim_and_run(engine: &'static Engine, context: &'static Context, task: &TaskRef) -> bool {
    if !runs_in_place(task) || !context.has_stack() {
        return false;
    }
    // The newest of this thread's own, most often, or the oldest, when a program fetches what it has spawned in order:
    // then the queue entry goes with it.
    // SAFETY: the deque is this thread's.
    let newest = unsafe { context.deque.pop_if(task) };
    let entry = newest.or_else(|| context.deque.steal_if(task));
    let claimed = match entry {
        Some(entry) if entry.gate.claim() => entry,
        None if task.gate.claim() => task.clone(),
        _ => return task.dependents.ended().is_some(),
    };
    if let Some(next) = engine.execute(context, claimed) {
        queue(next);
    }
    // A detached body leaves it unfinished.
    task.dependents.ended().is_some()
}

/// Waits outside all tasks.
#[inline(never)]
fn outside(engine: &'static Engine, context: &'static Context, task: &TaskRef) -> Result<(), WaitError> {
    ask_for(task);
    let ended = || task.dependents.ended().is_some();
    for _ in 0..IDLE_LOOKS {
        if ended() || (task.gate.is_ready() && run_outside(engine, context, task)) {
            return Ok(());
        }
        if task.flags() & DETACHED != 0 {
            // It is in another process or waits for the outside: for longer than a thread looks.
            break;
        }
        std::hint::spin_loop();
    }
    let held = turns::held_here();
    if held.is_empty() {
        let parked = Parked::new(Vec::new(), held);
        if parked.hang(task) {
            parked.wait(Duration::MAX);
        }
        return Ok(());
    }
    // Others wait for this thread, so it may wait for itself.
    let parked = Parked::new(Vec::new(), held);
    let waited = circles::hang(&parked, task).and_then(|hangs| {
        if !hangs {
            return Ok(());
        }
        let hanging = Hanging(&parked);
        let waited = circles::wait(&parked, task);
        std::mem::forget(hanging);
        waited
    });
    waited.map_err(|Circular| WaitError::Circular(task.id()))
}

/// Runs the target right here, if nobody has it and a processor can be had; true when it has ended.
fn run_outside(engine: &'static Engine, context: &'static Context, task: &TaskRef) -> bool {
    if !runs_in_place(task) {
        return false;
    }
    let Some(processor) = engine.crew.take_any(context.home()) else { return false };
    context.set_processor(processor);
    context.set_employer(Some(engine));
    let ended = claim_and_run(engine, context, task);
    if let Some(processor) = context.give_processor() {
        engine.release(processor);
    }
    context.set_employer(None);
    ended
}

impl WaitError {
    pub(crate) fn into_task_error(self, task: &TaskRef) -> TaskError {
        TaskError::new(task.as_failed(0), Cause::scheduling(self.to_string()))
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitError::Itself => f.write_str("it cannot be waited for by itself"),
            WaitError::Circular(_) => f.write_str(
                "it cannot be waited for here, because it waits, itself or through others, for the task that asks",
            ),
            WaitError::Held => f.write_str(
                "it cannot be waited for here, because the region around holds it back until the region's end: \
                 wait after the region",
            ),
            WaitError::TooDeep => write!(
                f,
                "it cannot be waited for here, because too many of {THREADS_MAX} threads wait in the middle of tasks already: \
                 pass the handle as an argument instead of fetching it inside"
            ),
        }
    }
}

impl std::error::Error for WaitError {}
