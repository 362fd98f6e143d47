//! Halting: everything that has not ended fails, now.

use super::{Engine, cancel_because, outside, queue, running};
use crate::deque::Stolen;
use crate::epoch;
use crate::task::{HALTED, TaskRef};
use poniard_model::Cause;

/// Makes every task fail that has not ended: ready ones, with all that depend on them, and those that are ended from
/// outside, at once; running ones when their function returns, which sees `cancelled` from now on. Spawns that come
/// later are not touched.
pub fn halt() {
    epoch::advance();
    clear(running());
}

/// Ends what earlier epochs have left: in the queues of `engine`, and outside of them.
pub(super) fn clear(engine: Option<&'static Engine>) {
    engine.into_iter().for_each(sweep);
    outside::past().iter().for_each(fail);
}

/// Ends the ready tasks of earlier epochs that lie in the queues. Those that are in nobody's queue at this moment end when a
/// thread takes them to run them.
fn sweep(engine: &'static Engine) {
    for task in ready_tasks(engine) {
        if task.is_halted() { fail(&task) } else { queue(task) }
    }
}

/// Ends a task of an earlier epoch that does not run.
pub(super) fn fail(task: &TaskRef) {
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
