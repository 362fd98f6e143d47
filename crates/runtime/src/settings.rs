//! What is asked of each process of a cluster.

use std::path::PathBuf;
use std::time::Duration;

/// How large a worker is.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "cluster", derive(serde::Serialize, serde::Deserialize))]
pub struct Settings {
    /// Processors.
    pub threads: usize,
    /// Words for [`Scope::label`](poniard_model::Scope::label).
    pub labels: Vec<String>,
    /// Bytes of memory for large results.
    pub budget: u64,
    /// Bytes of memory to which one task may bring it that is let in alone.
    pub alone: u64,
    /// Folders for what does not fit.
    pub spill_folders: Vec<PathBuf>,
    /// Bytes that may lie there.
    pub spill_limit: u64,
    /// How long a worker may be silent or out of reach before it is lost.
    pub worker_timeout: Duration,
    /// How many workers that were lost are replaced in a minute.
    pub respawn: u32,
    /// How long a task waits for a worker when all that fit it are gone.
    pub no_worker_timeout: Duration,
    /// How long after its cancel a task may keep a processor of another worker.
    pub cancel_grace: Duration,
}
