//! Handles: what a user holds of a task.

use super::TaskRef;
use super::ticket::ask_for;
use crate::edge::Ended;
use poniard_model::{Scope, Site, TaskError, TaskId};
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A handle of a task whose result is a `T`. Clones are cheap; the result lives as long as one of them.
pub struct Handle<T> {
    task: TaskRef,
    result: PhantomData<fn() -> T>,
}

/// A handle of a task, whatever its result.
#[derive(Clone, Debug, PartialEq)]
pub struct AnyHandle(TaskRef);

impl<T> Handle<T> {
    pub(crate) fn from_task(task: TaskRef) -> Handle<T> {
        Handle { task, result: PhantomData }
    }

    pub(crate) fn into_task(self) -> TaskRef {
        self.task
    }

    pub(crate) fn task(&self) -> &TaskRef {
        &self.task
    }

    /// This handle without its type.
    pub fn erase(&self) -> AnyHandle {
        AnyHandle(self.task.clone())
    }

    /// The task's id.
    pub fn id(&self) -> TaskId {
        self.task.id()
    }

    /// The name that people see.
    pub fn name(&self) -> Arc<str> {
        self.task.name()
    }

    /// Whether the task has ended, well or not.
    #[inline]
    pub fn is_ended(&self) -> bool {
        self.task.dependents.ended().is_some()
    }

    /// As [`Handle::is_ended`], of whoever waits for that: the result of another process's task is asked for.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.is_ended() || asked(&self.task)
    }
}

/// Whether a task has ended, now that it is asked for.
fn asked(task: &TaskRef) -> bool {
    ask_for(task);
    task.dependents.ended().is_some()
}

impl AnyHandle {
    pub(crate) fn new(task: TaskRef) -> AnyHandle {
        AnyHandle(task)
    }

    pub(crate) fn task(&self) -> &TaskRef {
        &self.0
    }

    /// The task's id.
    pub fn id(&self) -> TaskId {
        self.0.id()
    }

    /// The name that people see.
    pub fn name(&self) -> Arc<str> {
        self.0.name()
    }

    /// The function and the place of the spawn.
    pub fn site(&self) -> &'static Site {
        self.0.site
    }

    /// Whether the task has ended, well or not.
    pub fn is_ended(&self) -> bool {
        self.0.dependents.ended().is_some()
    }

    /// As [`Handle::is_ready`].
    pub fn is_ready(&self) -> bool {
        self.is_ended() || asked(&self.0)
    }

    /// The error of a task that has failed.
    pub fn error(&self) -> Option<&TaskError> {
        self.0.error()
    }

    /// What is known of the task above, from its launch on.
    pub fn note(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.0.extra()?.note.clone()
    }

    /// Where the task's result may be used, if not everywhere; from its launch on.
    pub fn reach(&self) -> Option<&Scope> {
        self.0.extra()?.reach.as_ref()
    }

    /// Whether a region holds the task back.
    pub fn is_held(&self) -> bool {
        self.0.gate.is_held()
    }
}

impl<T> Clone for Handle<T> {
    #[inline]
    fn clone(&self) -> Handle<T> {
        Handle::from_task(self.task.clone())
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.task.dependents.ended() {
            None => "not ended",
            Some(Ended::Done) => "done",
            Some(Ended::Failed) => "failed",
        };
        write!(f, "{:?} ({state})", self.task)
    }
}
