//! A handle that travels beside the bytes of the value that holds it.

use super::handle::{AnyHandle, Handle};
use poniard_model::codec::Encoded;
use poniard_model::{Data, TaskError};
use std::any::Any;
use std::fmt;

/// Takes a result as bytes, or why there is none.
pub type Told = Box<dyn FnOnce(Result<Encoded, TaskError>) + Send>;

/// A handle that travels beside the bytes of the value that holds it.
pub struct Traveller {
    handle: Box<dyn Any + Send + Sync>,
    task: AnyHandle,
    tell: fn(&(dyn Any + Send + Sync), Told),
}

impl Traveller {
    /// Of this handle; `tell` tells its result.
    pub(crate) fn with<T: Data>(handle: &Handle<T>, tell: fn(&(dyn Any + Send + Sync), Told)) -> Traveller {
        Traveller { handle: Box::new(handle.clone()), task: handle.erase(), tell }
    }

    /// The handle, if its result is a `T`.
    pub fn handle<T: Data>(&self) -> Option<Handle<T>> {
        self.handle.downcast_ref::<Handle<T>>().cloned()
    }

    /// The task.
    pub fn task(&self) -> &AnyHandle {
        &self.task
    }

    /// Has the result told when it is there, by a task of its own: it may have to be read from disk.
    pub fn tell(&self, told: Told) {
        (self.tell)(&*self.handle, told);
    }
}

impl fmt::Debug for Traveller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Traveller({:?})", self.task)
    }
}
