//! Handles of tasks.

use crate::passenger;
use poniard_model::{Data, Site, TaskError, TaskId};
use poniard_pool::{AnyHandle, Handle, Shared};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A handle of a task whose result is a `T`.
///
/// It is cheap to clone, and is data itself: a task may take it and return it. The result is kept as long as there is a
/// handle; a task whose last handle is dropped runs all the same.
///
/// ```
/// use poniard::prelude::*;
/// let task = spawn!((|x: i64| x + 1)(4));
/// assert_eq!(task.fetch()?, 5);
/// assert!(task.is_ready());
/// # Ok::<(), TaskError>(())
/// ```
pub struct DTask<T>(pub(crate) Handle<T>);

/// A handle of a task, whatever its result.
#[derive(Clone, PartialEq)]
pub struct AnyTask(pub(crate) AnyHandle);

/// A result, borrowed from its task: no copy, and in memory for as long as this is held.
pub struct Ref<T>(pub(crate) Shared<T>);

impl<T: Data> DTask<T> {
    /// Waits for the task and gives a copy of its result. May be called often, and from any thread.
    ///
    /// # Errors
    /// The task's error, or that of the task that made it fail; or why it cannot be waited for here.
    #[inline]
    pub fn fetch(&self) -> Result<T, TaskError>
    where
        T: Clone, // what cannot be copied is borrowed: `fetch_ref`
    {
        self.0.cloned()
    }

    /// Waits for the task and borrows its result.
    ///
    /// # Errors
    /// As for [`DTask::fetch`].
    pub fn fetch_ref(&self) -> Result<Ref<T>, TaskError> {
        self.0.clone().share().map(Ref)
    }

    /// Waits until the task has ended, and does not tell how.
    ///
    /// # Panics
    /// When it can never end while it is waited for: see [`AnyTask::wait`].
    pub fn wait(&self) {
        self.any().wait();
    }

    /// Whether the task has ended, well or not. Never blocks.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    /// Asks the task to stop. One that does not run yet fails at once, and so do all that depend on it; one that runs
    /// sees [`cancelled`](crate::cancelled); one that has ended is left as it is.
    pub fn cancel(&self) {
        self.0.erase().cancel();
    }

    /// Ends what the option `persist` has begun: the result goes with the last handle.
    pub fn release(&self) {
        self.0.erase().release();
    }

    /// As [`AnyTask::explain`].
    pub fn explain(&self) -> String {
        self.any().explain()
    }

    /// The task's id.
    pub fn id(&self) -> TaskId {
        self.0.id()
    }

    /// The task's name: the option `name`, else its function.
    pub fn name(&self) -> Arc<str> {
        self.0.name()
    }

    /// This handle without the type of the result.
    pub fn any(&self) -> AnyTask {
        AnyTask(self.0.erase())
    }
}

impl AnyTask {
    /// Waits until the task has ended, and does not tell how.
    ///
    /// # Panics
    /// When it can never end while it is waited for: a task waits for itself or for one that waits for it, or a region
    /// waits for a task that it holds back itself. Inside a task the panic is the task's error.
    pub fn wait(&self) {
        if let Err(error) = self.0.wait() {
            panic!("{}: {error}", self.described());
        }
    }

    /// Whether the task has ended, well or not. Never blocks.
    pub fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    /// As [`DTask::cancel`].
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// The task's id.
    pub fn id(&self) -> TaskId {
        self.0.id()
    }

    /// The task's name: the option `name`, else its function.
    pub fn name(&self) -> Arc<str> {
        self.0.name()
    }

    /// Ends what the option `persist` has begun: the result goes with the last handle.
    pub fn release(&self) {
        self.0.release();
    }

    /// Why the task has not ended, or how it has: one line of text. What it says was so a moment ago.
    ///
    /// ```
    /// use poniard::prelude::*;
    /// let task = spawn!((|x: i64| x + 1)(1), name = "one more");
    /// task.wait();
    /// assert!(task.explain().ends_with("has ended well"), "{}", task.explain());
    /// ```
    pub fn explain(&self) -> String {
        poniard_runtime::explain(&self.0)
    }

    /// The function and the place of the spawn.
    pub fn site(&self) -> &'static Site {
        self.0.site()
    }

    /// Why the task failed, if it has ended and failed.
    pub fn error(&self) -> Option<TaskError> {
        self.0.error().cloned()
    }

    fn described(&self) -> String {
        format!("task `{}` ({}, {})", self.name(), self.id(), self.site())
    }
}

impl<T: Data> Deref for Ref<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for DTask<T> {
    #[inline]
    fn clone(&self) -> DTask<T> {
        DTask(self.0.clone())
    }
}

impl<T> fmt::Debug for DTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AnyTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.described())
    }
}

impl<T: Data + fmt::Debug> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A handle travels beside the bytes of the value that holds it; other formats than Poniard's own cannot carry it.
impl<T: Data> Serialize for DTask<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        passenger::write_task(&self.0, serializer)
    }
}

impl<'de, T: Data> Deserialize<'de> for DTask<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DTask<T>, D::Error> {
        passenger::read_task(deserializer).map(DTask)
    }
}
