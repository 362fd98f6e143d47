//! What a handle can do while the engine runs: wait, give the value, cancel.

use super::promise::promise;
use super::{admission, cancel, persistent, wait, withdraw};
use crate::task::arg::Value;
use crate::task::erased::Present;
use crate::task::handle::{AnyHandle, Handle};
use crate::task::kept::{self, Held};
use crate::task::watch::Watcher;
use crate::task::weak;
use crate::task::{KEPT, TaskRef};
use poniard_model::{Cause, Data, Pinned, Site, TaskError, TaskId};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wait::WaitError;

impl<T: Data> Handle<T> {
    /// Waits for the task, and copies its value.
    ///
    /// # Errors
    /// The task's error; why it cannot be waited for; or why its value cannot be had.
    #[inline]
    pub fn cloned(&self) -> Result<T, TaskError>
    where
        T: Clone,
    {
        self.until_done()?;
        if self.task().flags() & KEPT != 0 {
            return self.clone().share().map(|shared| T::clone(&shared));
        }
        // SAFETY: it has ended well, its result is a `T` (that is what `Handle<T>` means), it is not kept, and while we hold
        // a handle nobody takes it.
        let value = unsafe { self.task().value::<T>() };
        // SAFETY: as above.
        Ok(unsafe { value.as_ref() }.clone())
    }

    /// Waits for the task, and borrows its value, which is not large.
    #[cfg(test)]
    pub(crate) fn get(&self) -> Result<&T, TaskError> {
        self.until_done()?;
        assert!(!self.is_kept(), "it may leave memory");
        // SAFETY: as for `cloned`.
        let value = unsafe { self.task().value::<T>() };
        // SAFETY: as above.
        Ok(unsafe { value.as_ref() })
    }

    /// Waits for the task, and keeps its value in memory.
    ///
    /// # Errors
    /// As for [`Handle::cloned`].
    pub fn share(self) -> Result<Shared<T>, TaskError> {
        self.until_done()?;
        let held = if self.task().flags() & KEPT != 0 { Some(self.hold()?) } else { None };
        Ok(Shared { handle: self, _held: held })
    }

    #[inline]
    fn until_done(&self) -> Result<(), TaskError> {
        if !self.is_ended() {
            wait::until_ended(self.task()).map_err(|error| error.into_task_error(self.task()))?;
        }
        self.task().error().cloned().map_or(Ok(()), Err)
    }

    /// Keeps the value in memory, where it is brought if need be.
    fn hold(&self) -> Result<Arc<Held>, TaskError> {
        match Held::of(self.id().into()) {
            Some(held) => Ok(Arc::new(held)),
            None => bring(self.task()).cloned().map(|held| held.0),
        }
    }

    /// Whether the value is large enough to count for the budget.
    #[inline]
    pub fn is_kept(&self) -> bool {
        self.task().flags() & KEPT != 0
    }

    /// As [`Handle::share`] of a task that has ended, without waiting: what is to be waited for when the value is on disk.
    ///
    /// # Errors
    /// The task's error.
    pub fn try_share(self) -> Result<Result<Shared<T>, Bringing>, TaskError> {
        if let Some(error) = self.task().error() {
            return Err(error.clone());
        }
        if !self.is_kept() {
            return Ok(Ok(Shared { handle: self, _held: None }));
        }
        match Held::of(self.id().into()) {
            Some(held) => Ok(Ok(Shared { handle: self, _held: Some(Arc::new(held)) })),
            None => Ok(Err(bring(self.task()))),
        }
    }

    /// The value that was brought.
    ///
    /// # Errors
    /// Why it could not be.
    pub fn share_brought(self, brought: &Bringing) -> Result<Shared<T>, TaskError> {
        let held = brought.cloned()?.0;
        Ok(Shared { handle: self, _held: Some(held) })
    }

    /// Bytes of memory that the value holds outside of itself, on disk or not; `None` until the task has ended well.
    pub fn bytes(&self) -> Option<u64> {
        if !self.is_ended() || self.task().error().is_some() {
            return None;
        }
        let kept = kept::bytes(self.id().into()).filter(|_| self.task().flags() & KEPT != 0);
        // SAFETY: it has ended well, and a value that is not kept stays in its slot.
        Some(kept.unwrap_or_else(|| unsafe { self.task().heap_bytes() } as u64))
    }

    /// Whether the value is in memory: not before the task has ended well, nor while the value is on disk.
    pub fn is_resident(&self) -> bool {
        self.is_ended()
            && self.task().error().is_none()
            && (self.task().flags() & KEPT == 0 || kept::is_here(self.id().into()))
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

    /// Ends the task as cancelled if it has not begun, and else lets it alone; whether it had not.
    pub fn withdraw(&self) -> bool {
        withdraw(self.task())
    }

    /// How long it is since the task began, if that is noted and it has.
    pub fn since_begun(&self) -> Option<Duration> {
        self.task().extra()?.begun.get().map(Instant::elapsed)
    }

    /// Lets go of a result that was to be kept until now.
    pub fn release(&self) {
        persistent::release(self.task());
    }

    /// Does `work` when the task has ended, on whichever thread ends it; at once if it has.
    ///
    /// It must be short, and must not wait.
    pub fn on_end(&self, work: impl FnOnce() + Send + 'static) {
        Watcher::hang(self.task(), Box::new(work));
    }
}

/// The task of this number whose result is with the process that made it, or was, as long as somebody has a handle of it.
pub fn find_remote(task: TaskId) -> Option<AnyHandle> {
    weak::find(task).filter(|task| task.flags() & KEPT != 0).map(AnyHandle::new)
}

impl AnyHandle {
    /// Brings the value of a task that has ended well into memory, if it is [kept](AnyHandle::is_kept); `then` is told whether it has come.
    pub fn bring_home(&self, then: impl FnOnce(bool) + Send + 'static) {
        let bringing = bring(self.task()).erase();
        let ended = bringing.clone();
        bringing.on_end(move || then(ended.error().is_none()));
    }
}

/// Brings a value into memory, by a task that reads it: it waits for its turn like others that need memory.
fn bring(task: &TaskRef) -> Bringing {
    static SITE: Site = Site::new("bring back", file!(), line!());
    SITE.learn_result(0);
    let chunk = task.id().into();
    let out_of_reach = kept::remote_bytes(chunk).and_then(|_| kept::keeper()?.why_out_of_reach(chunk));
    if let Some(cause) = out_of_reach {
        // Not by a task: it would start the cluster anew that is gone.
        let (bringing, ends) = promise(&SITE);
        ends.finish(Err(cause));
        return bringing;
    }
    let arguments = (Present::new(task.clone()), Value::new(chunk));
    admission::spawn(
        arguments,
        |((), chunk)| match Held::of(chunk) {
            Some(held) => Ok(Pinned(Arc::new(held))),
            None => Err(Cause::scheduling(format!("{chunk} is not in memory, though its reader runs"))),
        },
        &SITE,
        0,
    )
}

/// A task that brings a value into memory.
pub type Bringing = Handle<Pinned<Arc<Held>>>;

/// A result that is kept in memory while this is held.
pub struct Shared<T> {
    handle: Handle<T>,
    /// Of a value that may leave memory.
    _held: Option<Arc<Held>>,
}

impl<T: Data> Deref for Shared<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the task had ended well when this was made, its result is a `T`, the handle keeps it, and what may leave
        // memory is held.
        let value = unsafe { self.handle.task().value::<T>() };
        // SAFETY: as above.
        unsafe { value.as_ref() }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        Shared { handle: self.handle.clone(), _held: self._held.clone() }
    }
}

impl<T: fmt::Debug + Data> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
