//! What stands behind a task that another process will end: whoever needs its result has that asked for, and whoever cancels it has
//! that told.

use super::{FINDABLE, TaskRef};

/// What stands behind a task of another process, for as long as the task here.
pub(crate) trait Ticket: Send + Sync {
    /// Asks for the result of `task`, if that was not done before.
    fn ask(&self, task: &TaskRef);
    /// Tells that nobody wants `task` any more.
    fn cancel(&self, task: &TaskRef);
}

/// Asks the owner for the result of a task if that is another process, and was not asked before.
#[inline]
pub(crate) fn ask_for(task: &TaskRef) {
    // All of them can be found again: a mark that most tasks have not.
    if task.flags() & FINDABLE != 0
        && let Some(ticket) = ticket_of(task)
    {
        ticket.ask(task);
    }
}

/// Has the owner of a task stop it if that is another process, whose word is then the end of it here; false for a task of
/// this process, and for one that has ended.
pub(crate) fn cancel(task: &TaskRef) -> bool {
    let is_open = task.flags() & FINDABLE != 0 && task.dependents.ended().is_none();
    let Some(ticket) = ticket_of(task).filter(|_| is_open) else { return false };
    ticket.cancel(task);
    true
}

#[cold]
fn ticket_of(task: &TaskRef) -> Option<&dyn Ticket> {
    task.extra()?.ticket.as_deref()
}
