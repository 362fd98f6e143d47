//! Tasks that lie in no queue though nothing keeps them from ending: a completion is to end them, or they pause before
//! their next attempt. A halt finds them here.

use crate::task::TaskRef;
use poniard_model::TaskId;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

static OUTSIDE: Mutex<BTreeMap<TaskId, TaskRef>> = Mutex::new(BTreeMap::new());

fn lock() -> MutexGuard<'static, BTreeMap<TaskId, TaskRef>> {
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

/// The task of this number, if it is shown.
pub(crate) fn find(task: TaskId) -> Option<TaskRef> {
    lock().get(&task).cloned()
}

/// Looks at all that are shown: none of them ends well or is queued meanwhile.
pub(crate) fn with_all<R>(look: impl FnOnce(&BTreeMap<TaskId, TaskRef>) -> R) -> R {
    look(&lock())
}

/// Takes those that a halt has ended, to make them fail.
pub(crate) fn past() -> Vec<TaskRef> {
    lock().extract_if(.., |_, task| task.is_halted()).map(|(_, task)| task).collect()
}
