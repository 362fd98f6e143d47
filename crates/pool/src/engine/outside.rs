//! Tasks that lie in no queue though nothing keeps them from ending: a completion is to end them, or they pause before
//! their next attempt. A halt finds them here.

use crate::task::TaskRef;
use poniard_model::{Numbered, TaskId};
use std::sync::{Mutex, MutexGuard, PoisonError};

static OUTSIDE: Mutex<Numbered<TaskId, TaskRef>> = Mutex::new(Numbered::new());

fn lock() -> MutexGuard<'static, Numbered<TaskId, TaskRef>> {
    OUTSIDE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows a task to halts, until it is forgotten.
pub(crate) fn show(task: &TaskRef) {
    let before = lock().insert(task.id(), task.clone());
    drop(before);
}

/// Hides a task that ends or is queued now.
pub(crate) fn forget(task: &TaskRef) {
    // The lock is let go first: the reference could be the last one.
    let shown = lock().remove(&task.id());
    drop(shown);
}

/// Whether a task is shown to halts.
pub(crate) fn is_shown(task: TaskId) -> bool {
    lock().contains_key(&task)
}

/// Takes those that a halt has ended, to make them fail.
pub(crate) fn past() -> Vec<TaskRef> {
    let mut outside = lock();
    let halted: Vec<TaskId> = outside.iter().filter(|(_, task)| task.is_halted()).map(|(id, _)| id).collect();
    halted.iter().filter_map(|id| outside.remove(id)).collect()
}
