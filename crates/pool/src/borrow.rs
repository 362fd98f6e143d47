//! How a thread that is no task takes a turn at a datum: a task takes it, and leaves it to the thread.

use crate::engine::turns::Holds;
use crate::me::me;
use crate::spawn::spawn_detached;
use crate::task::access::Access;
use crate::task::arg::Arg;
use crate::task::datum::Datum;
use crate::task::extra::Extra;
use crate::task::opened::Opened;
use crate::turns::Usage;
use poniard_model::{Cause, Pinned, Site, TaskError};
use std::sync::{Mutex, PoisonError};

/// What a task took from its arguments, for the thread that waits for it.
type Passed<T, const ALONE: bool> = Pinned<Mutex<Option<Opened<(Access<T, ALONE>,)>>>>;

impl<T: Send + Sync + 'static> Datum<T> {
    /// Waits for the tasks that were spawned before and change the value, and shows it to `read`, on this thread.
    ///
    /// # Errors
    /// When there is no value or it lives in another process, or when it can never be this thread's turn: it waits for itself.
    pub fn read<R>(&self, site: &'static Site, read: impl FnOnce(&T) -> R) -> Result<R, TaskError> {
        let mut opened = self.wait::<false>(site)?;
        let _holds = Holds::begin(self.turns(), Usage::Shared);
        let (value,) = opened.open();
        Ok(read(value))
    }

    /// Waits for the tasks that were spawned before and use the value, and gives it to `write`, on this thread.
    ///
    /// # Errors
    /// As for [`Datum::read`].
    pub fn write<R>(&self, site: &'static Site, write: impl FnOnce(&mut T) -> R) -> Result<R, TaskError> {
        let mut opened = self.wait::<true>(site)?;
        let _holds = Holds::begin(self.turns(), Usage::Alone);
        let (value,) = opened.open();
        Ok(write(value))
    }

    /// Waits for a turn: a task takes it, and leaves its arguments to this thread.
    fn wait<const ALONE: bool>(&self, site: &'static Site) -> Result<Opened<(Access<T, ALONE>,)>, TaskError>
    where
        Access<T, ALONE>: Arg,
    {
        if let Some(error) = self.error() {
            return Err(error.clone());
        }
        if let Some(home) = self.home_elsewhere() {
            return Err(TaskError::without_task(Cause::scheduling(format!(
                "the value lives on {home} and cannot be borrowed on {}: `fetch` a copy, or spawn a task that uses it there",
                me()
            ))));
        }
        let task = spawn_detached::<(Access<T, ALONE>,), Passed<T, ALONE>>(
            (Access::to(self.clone()),),
            |opened, completion| completion.finish(Ok(Pinned(Mutex::new(Some(opened))))),
            site,
            Extra::default(),
        );
        let passed = task.share()?.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(passed.expect("only this thread takes it"))
    }
}
