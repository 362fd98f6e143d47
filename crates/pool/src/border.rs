//! What is told, and by whom, of handles that have come from other processes.

use poniard_model::codec::Encoded;
use poniard_model::{Cause, TaskId, WorkerId};
use std::fmt;

/// A task or a datum, whichever process speaks of it: its owner, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The worker that has spawned it, or on which it lives.
    pub owner: WorkerId,
    /// Its number there.
    pub task: TaskId,
}

/// Ends a task of another process with its result, or with the reason why there is none.
pub struct Ender(Box<dyn FnOnce(Result<Encoded, Cause>) + Send>);

/// What is told of handles of other processes' tasks and data.
pub trait Border: Send + Sync {
    /// Somebody here has a handle of this task: `end` takes its result.
    fn wants(&self, origin: Origin, end: Ender);
    /// There is one of the handles less that came.
    fn dropped(&self, origin: Origin);
}

impl Ender {
    /// Which ends the task so.
    pub(crate) fn new(end: impl FnOnce(Result<Encoded, Cause>) + Send + 'static) -> Ender {
        Ender(Box::new(end))
    }

    /// Ends the task.
    pub fn end(self, result: Result<Encoded, Cause>) {
        (self.0)(result);
    }
}

impl fmt::Debug for Ender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ender")
    }
}
