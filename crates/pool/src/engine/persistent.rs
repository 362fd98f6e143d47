//! Tasks whose results are kept although nobody has a handle of them.

use crate::task::TaskRef;
use poniard_model::TaskId;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

static PERSISTENT: Mutex<BTreeMap<TaskId, TaskRef>> = Mutex::new(BTreeMap::new());

fn lock() -> MutexGuard<'static, BTreeMap<TaskId, TaskRef>> {
    PERSISTENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the task, if that was asked for. Told when it is launched.
pub(super) fn keep(task: &TaskRef) {
    if task.extra().is_some_and(|extra| extra.is_persistent) {
        let before = lock().insert(task.id(), task.clone());
        drop(before);
    }
}

/// Keeps the task no more.
pub(super) fn release(task: &TaskRef) {
    // After the lock: it could be the last reference.
    let kept = lock().remove(&task.id());
    drop(kept);
}

/// Keeps none any more.
pub(super) fn release_all() {
    let kept = std::mem::take(&mut *lock());
    drop(kept);
}
