//! What a handle can do while the engine runs: wait, give the value, cancel.

use super::{cancel, wait};
use crate::task::handle::{AnyHandle, Handle};
use crate::task::watch::Watcher;
use poniard_model::TaskError;
use std::fmt;
use std::ops::Deref;
use wait::WaitError;

impl<T: Send + Sync + 'static> Handle<T> {
    /// Waits for the task, and gives its value.
    ///
    /// # Errors
    /// The task's error; or why it cannot be waited for.
    #[inline]
    pub fn get(&self) -> Result<&T, TaskError> {
        if !self.is_ended() {
            wait::until_ended(self.task()).map_err(|error| error.into_task_error(self.task()))?;
        }
        if let Some(error) = self.task().error() {
            return Err(error.clone());
        }
        // SAFETY: the task has ended well, its result is a `T` (that is what `Handle<T>` means), and while we hold a
        // handle nobody takes the value.
        let value = unsafe { self.task().value::<T>() };
        // SAFETY: as above.
        Ok(unsafe { value.as_ref() })
    }

    /// Waits for the task, and keeps its value.
    ///
    /// # Errors
    /// As for [`Handle::get`].
    pub fn share(self) -> Result<Shared<T>, TaskError> {
        self.get()?;
        Ok(Shared(self))
    }
}

impl AnyHandle {
    /// Waits until the task has ended, well or not.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn wait(&self) -> Result<(), WaitError> {
        wait::until_ended(self.task())
    }

    /// Waits until the task has ended.
    ///
    /// # Errors
    /// The task's error; or why it cannot be waited for.
    pub fn join(&self) -> Result<(), TaskError> {
        self.wait().map_err(|error| error.into_task_error(self.task()))?;
        self.error().cloned().map_or(Ok(()), Err)
    }

    /// Does `abort` when somebody else ends the detached work on the task; at once if the task has ended.
    pub fn on_abort(&self, abort: impl FnOnce() + Send + 'static) {
        if let Some(extra) = self.task().extra() {
            extra.set_abort(Box::new(abort));
            if self.is_ended() {
                extra.abort();
            }
        }
    }

    /// Asks the task to stop: at once when it does not run, else when its function looks.
    pub fn cancel(&self) {
        cancel(self.task());
    }

    /// Does `work` when the task has ended, on whichever thread ends it; at once if it has.
    ///
    /// It must be short, and must not wait.
    pub fn on_end(&self, work: impl FnOnce() + Send + 'static) {
        Watcher::hang(self.task(), Box::new(work));
    }
}

/// A result that is kept in memory while this is held.
pub struct Shared<T>(Handle<T>);

impl<T: Send + Sync + 'static> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.get().expect("a shared value is there")
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        Shared(self.0.clone())
    }
}

impl<T: fmt::Debug + Send + Sync + 'static> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
