//! Handles that do not keep their task: a cache finds the task again for as long as somebody else keeps it.
//!
//! A task that has such a handle is marked, and stands in a list until it is freed. Whoever finds it counts one reference
//! up under the list's lock; whoever drops the last one of a marked task takes the lock too, and looks again.

use super::handle::Handle;
use super::{FINDABLE, Header, TaskRef};
use poniard_model::TaskId;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A handle that does not keep the task, nor its result.
pub struct WeakHandle<T> {
    id: TaskId,
    result: PhantomData<fn() -> T>,
}

/// A marked task that is not freed.
struct Place(NonNull<Header>);

// SAFETY: the pointer is used under the list's lock only, and the header is atomics.
unsafe impl Send for Place {}

static PLACES: Mutex<BTreeMap<TaskId, Place>> = Mutex::new(BTreeMap::new());

fn places() -> MutexGuard<'static, BTreeMap<TaskId, Place>> {
    PLACES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Handle<T> {
    /// A handle that does not keep the task.
    pub fn downgrade(&self) -> WeakHandle<T> {
        mark(self.task());
        WeakHandle { id: self.id(), result: PhantomData }
    }
}

/// Has a task found by its number from now on, while somebody keeps it.
pub(crate) fn mark(task: &TaskRef) {
    places().insert(task.id(), Place(task.as_non_null()));
    // Our own reference is dropped later, and its Release shows the mark to whoever drops the last one.
    task.set_flags(FINDABLE);
}

impl<T> WeakHandle<T> {
    /// The handle again, while somebody keeps the task.
    pub fn upgrade(&self) -> Option<Handle<T>> {
        let places = places();
        let Place(task) = *places.get(&self.id)?;
        // SAFETY: a marked task leaves the list under the lock before it is freed.
        let header = unsafe { task.as_ref() };
        let one_more = |references: u32| (references > 0).then(|| references + 1);
        header.references.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        // SAFETY: the reference was just counted.
        Some(Handle::from_task(unsafe { TaskRef::from_raw(task.as_ptr()) }))
    }
}

/// The marked task of this number, while somebody keeps it.
pub(crate) fn find(id: TaskId) -> Option<TaskRef> {
    WeakHandle::<()> { id, result: PhantomData }.upgrade().map(Handle::into_task)
}

/// Whether a marked task whose last reference seemed to go is to be freed; then nobody finds it any more.
pub(super) fn leave(task: &TaskRef) -> bool {
    let mut places = places();
    // Zero: the last reference is counted down, and nobody counts up from there. Else its owner took it for the only one,
    // left it counted, and somebody may have found the task meanwhile.
    let is_last = task.references.load(Acquire) == 0 || task.references.fetch_sub(1, AcqRel) == 1;
    if is_last {
        places.remove(&task.id());
    }
    is_last
}

impl<T> Clone for WeakHandle<T> {
    fn clone(&self) -> WeakHandle<T> {
        WeakHandle { id: self.id, result: PhantomData }
    }
}

impl<T> fmt::Debug for WeakHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WeakHandle({})", self.id)
    }
}
