//! A value that tasks change in place, with the queue of those who want it; or what stands for one of another process.

use super::Header;
use super::foreign::Foreign;
use crate::panics;
use crate::turns::{Turns, Usage};
use poniard_model::{TaskError, TaskId, WorkerId};
use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock, Weak};

/// A task in the queue of a datum. Until its turn has come, the queue has an edge of it, which keeps it alive.
#[derive(Clone, Copy)]
pub(crate) struct InLine {
    pub(crate) task: NonNull<Header>,
    /// Gives the task a turn that has ended.
    pub(crate) pass_on: fn(&TaskTurns, InLine),
}

// SAFETY: a header is atomics; the address alone gives nobody a reference.
unsafe impl Send for InLine {}

pub(crate) type TaskTurns = Turns<InLine>;

/// Ends a turn, and tells those whose turn has come.
pub(super) fn leave(turns: &TaskTurns, usage: Usage) {
    if let Some(first) = turns.leave(usage) {
        (first.pass_on)(turns, first);
    }
}

/// A value that tasks change in place. Clones are the same value.
///
/// Of a value that lives in another process this has the queue of those who want it here. Their turns are the order in which they go
/// there, where each of them enters the queue of the value itself.
pub struct Datum<T>(Arc<Inner<T>>);

/// A datum that this does not keep.
pub(super) struct WeakDatum<T>(Weak<Inner<T>>);

struct Inner<T> {
    turns: TaskTurns,
    /// What its owner has to say of the place where it lives; the pool only carries it.
    lives: Option<Arc<dyn Any + Send + Sync>>,
    /// What other processes call it, once one knows it.
    number: OnceLock<TaskId>,
    content: Content<T>,
}

enum Content<T> {
    Value(UnsafeCell<T>),
    /// It lives in another process.
    Elsewhere(Arc<Foreign>),
    /// Why there is no value.
    Failed(TaskError),
    /// It was dropped, and this is about to be.
    Dropped,
}

// SAFETY: the value is shared only among those that hold turns to read, which needs `Sync`, and moves between those that hold
// one to write, which needs `Send`.
unsafe impl<T: Send + Sync> Send for Inner<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Inner<T> {}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        let content = std::mem::replace(&mut self.content, Content::Dropped);
        // A destructor of the user's must not take the thread down that happens to run it.
        panics::contain(|| drop(content));
    }
}

impl<T: Send + Sync + 'static> Datum<T> {
    /// A datum with this value. `lives` is what its owner has to say of its place.
    pub fn new(value: T, lives: Option<Arc<dyn Any + Send + Sync>>) -> Datum<T> {
        Datum::with(Content::Value(UnsafeCell::new(value)), lives)
    }

    /// A datum whose value could not be made: every task that uses it fails because of `error`.
    pub fn failed(error: TaskError) -> Datum<T> {
        Datum::with(Content::Failed(error), None)
    }

    /// What stands here for a datum of another process.
    pub(super) fn elsewhere(foreign: Arc<Foreign>, lives: Option<Arc<dyn Any + Send + Sync>>) -> Datum<T> {
        Datum::with(Content::Elsewhere(foreign), lives)
    }

    fn with(content: Content<T>, lives: Option<Arc<dyn Any + Send + Sync>>) -> Datum<T> {
        Datum(Arc::new(Inner { turns: Turns::new(), lives, number: OnceLock::new(), content }))
    }

    /// Why there is no value, if there is none.
    pub fn error(&self) -> Option<&TaskError> {
        match &self.0.content {
            Content::Failed(error) => Some(error),
            Content::Elsewhere(foreign) => foreign.lost(),
            Content::Value(_) | Content::Dropped => None,
        }
    }

    /// What its owner has to say of the place where it lives.
    pub fn lives(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.0.lives.as_ref()
    }

    /// The other worker on which it lives; `None` when it lives here.
    pub fn home_elsewhere(&self) -> Option<WorkerId> {
        self.foreign().map(|foreign| foreign.origin().owner)
    }

    /// Whether both are the same value.
    pub fn is_same(&self, other: &Datum<T>) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// How many tasks of this process use it or wait for it.
    pub fn users(&self) -> usize {
        self.0.turns.len()
    }

    pub(crate) fn turns(&self) -> &TaskTurns {
        &self.0.turns
    }

    /// What stands here for it, if it lives in another process.
    pub(super) fn foreign(&self) -> Option<&Foreign> {
        if let Content::Elsewhere(foreign) = &self.0.content { Some(foreign) } else { None }
    }

    /// What other processes call it: `new` where none knows it yet.
    pub(super) fn number(&self, new: impl FnOnce() -> TaskId) -> TaskId {
        *self.0.number.get_or_init(new)
    }

    /// Where the value lies.
    pub(super) fn place(&self) -> *mut T {
        match &self.0.content {
            Content::Value(value) => value.get(),
            Content::Elsewhere(_) => unreachable!("a task that uses data of another process runs there"),
            Content::Failed(_) | Content::Dropped => unreachable!("a task that runs has data with values"),
        }
    }

    pub(super) fn downgrade(&self) -> WeakDatum<T> {
        WeakDatum(Arc::downgrade(&self.0))
    }
}

impl<T> WeakDatum<T> {
    pub(super) fn upgrade(&self) -> Option<Datum<T>> {
        self.0.upgrade().map(Datum)
    }
}

/// A datum whose type is forgotten: [`Lives::choose`](super::access::Lives::choose) remembers it.
pub trait AnyDatum: Any + Send + Sync {
    /// How many tasks of this process use it or wait for it.
    fn users(&self) -> usize;
}

impl<T: Send + Sync + 'static> AnyDatum for Datum<T> {
    fn users(&self) -> usize {
        Datum::users(self)
    }
}

impl<T> Clone for Datum<T> {
    #[inline]
    fn clone(&self) -> Datum<T> {
        Datum(self.0.clone())
    }
}

impl<T> fmt::Debug for Datum<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datum").field("turns", &self.0.turns).finish_non_exhaustive()
    }
}
