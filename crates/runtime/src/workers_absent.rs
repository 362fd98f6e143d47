//! Worker processes in a build that has none.

use crate::settings::Settings;
use crate::status::WorkerStatus;
use poniard_model::{TaskId, WorkerId};
use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

/// This build has no worker processes.
#[derive(Debug)]
pub struct LaunchError;

/// Starts no worker.
///
/// # Errors
/// Always: this build has none.
pub fn start(_: Settings, _: usize, _: Option<Meeting>) -> Result<(), LaunchError> {
    Err(LaunchError)
}

/// Where workers of other servers come in: nowhere.
#[derive(Clone, Debug)]
pub enum Meeting {}

impl Meeting {
    /// None.
    ///
    /// # Errors
    /// Never.
    pub fn of_environment() -> Result<Option<Meeting>, String> {
        Ok(None)
    }

    /// There is none where processes meet.
    pub fn sharers(&self, _: usize) -> usize {
        match *self {}
    }
}

/// Starts no worker.
///
/// # Errors
/// Always: this build has none.
pub fn add(_: usize) -> Result<Vec<WorkerId>, LaunchError> {
    Err(LaunchError)
}

/// Removes no worker.
///
/// # Errors
/// Always: this build has none.
pub fn remove(_: WorkerId, _: Duration) -> Result<(), LaunchError> {
    Err(LaunchError)
}

/// There are no others.
pub fn status() -> Vec<WorkerStatus> {
    Vec::new()
}

/// No task leaves this process.
pub fn explain(_: TaskId) -> Option<Infallible> {
    None
}

/// There are none to end.
pub fn end() {}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this program was built without the feature `cluster`")
    }
}

impl std::error::Error for LaunchError {}
