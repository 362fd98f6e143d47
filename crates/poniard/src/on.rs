//! A function that is run on a worker now, and its value here.

use crate::cluster::{self, Cluster};
use crate::function::site;
use crate::options::{self, Options};
use poniard_model::{Cause, Data, Scope, TaskError, TaskOptions, WorkerId};
use poniard_pool::Code;
use std::panic::Location;

impl Cluster {
    /// Runs a function, or a closure without captures, on a worker, and gives its value on this side: what
    /// [`on`](crate::on) does.
    ///
    /// ```
    /// use poniard::prelude::*;
    /// let cluster = Cluster::local().threads(1).start()?;
    /// assert_eq!(cluster.on(WorkerId(1), my_id)?, WorkerId(1));
    /// assert_eq!(cluster.on(1, || 1 + 2)?, 3);
    /// # Ok::<(), TaskError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`on`](crate::on).
    #[track_caller]
    pub fn on<F, R>(&self, worker: impl Into<WorkerId>, function: F) -> Result<R, TaskError>
    where
        F: Fn() -> R + Clone + Send + 'static,
        R: Data + Clone,
    {
        on(worker, function)
    }
}

/// Runs a function, or a closure without captures, on a worker, and gives its value on this side. Inside a task too, on
/// whichever worker that runs.
///
/// It is a task like others, which joins no region and takes no options of a block. A closure that has captures does not compile:
///
/// ```compile_fail
/// let captured = 4;
/// poniard::on(2, move || captured + 1);
/// ```
///
/// # Errors
/// What the function panics with; that there is no such worker, or what became of it; or why its value cannot leave it.
#[track_caller]
pub fn on<F, R>(worker: impl Into<WorkerId>, function: F) -> Result<R, TaskError>
where
    F: Fn() -> R + Clone + Send + 'static,
    R: Data + Clone,
{
    const { assert!(size_of::<F>() == 0, "`on` takes a function, or a closure without captures") };
    cluster::ensure().map_err(|reason| TaskError::without_task(Cause::scheduling(reason)))?;
    let site = site::<F>(Location::caller());
    let asked = Options::new().scope(Scope::worker(worker)).asked;
    let extra = options::resolve(asked, &[], TaskOptions::default(), None);
    poniard_pool::spawn_with((Code::new(function),), |(function,)| Ok(function()), site, extra).cloned()
}
