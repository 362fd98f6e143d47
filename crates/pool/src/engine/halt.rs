//! Halting: everything that has not ended fails, now.

use super::{Engine, cancel_because, outside, running};
use crate::deque::Stolen;
use crate::task::{HALTED, TaskRef};
use poniard_model::Cause;
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes every task fail that has not ended: ready ones, with all that depend on them, and those that are ended from
/// outside, at once; running ones when their function returns, which sees `cancelled` from now on. Spawns that come
/// later are not touched.
pub fn halt() {
    let Some(engine) = running() else { return };
    // Counted before: what runs now, or was taken to run, is of an earlier epoch. Counted after: so is what a
    // thread took between.
    HALTS.fetch_add(1, Ordering::SeqCst);
    for task in ready_tasks(engine) {
        fail(&task);
    }
    for task in outside::drain() {
        fail(&task);
    }
    HALTS.fetch_add(1, Ordering::SeqCst);
}

/// How often the runtime was halted, twice over.
static HALTS: AtomicU64 = AtomicU64::new(0);

/// The time between two halts in which a thread takes a task now. During a halt it is the one before, so that who is free
/// by the halt does not run what the halt has not reached yet.
#[inline]
pub(crate) fn epoch() -> u64 {
    count() & !1
}

/// Tells one time between two halts from another.
#[inline]
pub(crate) fn count() -> u64 {
    HALTS.load(Ordering::Relaxed)
}

fn fail(task: &TaskRef) {
    cancel_because(task, Cause::halted, HALTED);
}

/// Takes every ready task off its queue.
fn ready_tasks(engine: &'static Engine) -> Vec<TaskRef> {
    let mut tasks = engine.drain_injected();
    for deque in engine.seats.iter() {
        loop {
            match deque.steal() {
                Stolen::Task(task) => tasks.push(task),
                Stolen::Retry => {}
                Stolen::Empty => break,
            }
        }
    }
    let (placed, freed) = engine.board.drain();
    tasks.extend(placed);
    for processor in freed {
        engine.release(processor);
    }
    tasks
}
