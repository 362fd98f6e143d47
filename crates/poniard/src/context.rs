//! What a program, and a task inside, can ask of the runtime.

use poniard_model::{Cause, FailedTask, ProcessorId, TaskError, TaskId, WorkerId};
use poniard_pool::{Status, current};
use std::sync::Arc;

/// The task that runs here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CurrentTask {
    /// Its id.
    pub id: TaskId,
    /// Its name.
    pub name: Arc<str>,
}

/// The task that this thread runs; `None` outside tasks.
pub fn current_task() -> Option<CurrentTask> {
    let (id, name, _) = current::task()?;
    Some(CurrentTask { id, name })
}

/// The processor on which this thread runs its task; `None` outside tasks, and for a task that holds none.
pub fn current_processor() -> Option<ProcessorId> {
    current::task()?;
    current::processor()
}

/// The worker process that this is.
pub fn my_id() -> WorkerId {
    poniard_pool::me()
}

/// Whether the task that runs here should stop: it was cancelled, its `timeout` is over, or the runtime was halted.
///
/// ```
/// use poniard::prelude::*;
/// let task = spawn!(|| while !cancelled() { std::thread::yield_now() });
/// task.cancel();
/// task.wait();
/// ```
pub fn cancelled() -> bool {
    current::is_cancelled()
}

/// An error when the task that runs here should stop: `check_cancelled()?` in a loop ends it.
///
/// # Errors
/// When [`cancelled`] is true.
pub fn check_cancelled() -> Result<(), TaskError> {
    if !cancelled() {
        return Ok(());
    }
    let cause = Cause::cancelled("while it ran");
    let error = match current::task() {
        Some((id, name, site)) => {
            TaskError::new(FailedTask { id, name, site, worker: my_id(), attempt: 1 }, cause)
        }
        None => TaskError::without_task(cause),
    };
    Err(error)
}

/// What the runtime does now: tasks by state, and what runs where.
pub fn status() -> Status {
    poniard_pool::status()
}

/// Halts the runtime: every task that has not ended fails, with an error that says so. Tasks that run see [`cancelled`],
/// and fail when their function returns. The next spawn starts anew.
pub fn halt() {
    poniard_pool::halt();
}
