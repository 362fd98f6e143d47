//! What is told of workers and tasks to whoever asks.

use crate::directory;
use poniard_model::WorkerId;
use std::time::Duration;

/// What one worker does now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Which.
    pub worker: WorkerId,
    /// The name of its machine.
    pub node: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// How many tasks run there at a time.
    pub processors: u32,
    /// What it says of the tasks there, its own and others'; `None` when it did not answer in time.
    pub tasks: Option<TaskCounts>,
    /// Tasks of this process that are there, and what they are expected to take.
    pub ours: (usize, Duration),
    /// It was removed, and sees what it has to its end.
    pub is_leaving: bool,
}

impl WorkerStatus {
    /// Of this process.
    pub fn here() -> WorkerStatus {
        let worker = poniard_pool::me();
        let (node, labels, processors) = directory::of(worker).unwrap_or_default();
        let (tasks, ours) = (Some(TaskCounts::here()), (0, Duration::ZERO));
        WorkerStatus { worker, node, labels, processors, tasks, ours, is_leaving: false }
    }
}

/// Tasks in one process, by their state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cluster", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct TaskCounts {
    /// Wait for something: those that are with other workers among them.
    pub waiting: u64,
    /// Wait for a processor.
    pub ready: u64,
    /// Run, or wait in the middle.
    pub running: u64,
    /// Have ended well.
    pub done: u64,
    /// Have failed.
    pub failed: u64,
}

impl TaskCounts {
    /// Those of this process.
    pub fn here() -> TaskCounts {
        let status = poniard_pool::status();
        TaskCounts {
            waiting: status.waiting,
            ready: status.ready,
            running: status.running,
            done: status.done,
            failed: status.failed,
        }
    }
}
