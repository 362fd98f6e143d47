//! What is told of workers and tasks to whoever asks.

#[cfg(feature = "cluster")]
pub(crate) mod json;
#[cfg(feature = "cluster")]
pub(crate) mod table;

use crate::directory;
use crate::traffic::{Traffic, traffic};
use poniard_model::WorkerId;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// How many of its processors tasks keep that were cancelled and do not return; none when it did not answer, as below.
    pub lost_processors: u32,
    /// How many bytes of values it has given to others.
    pub traffic: Traffic,
    /// What large results take there.
    pub memory: WorkerMemory,
    /// Tasks of this process that are there, and what they are expected to take.
    pub ours: (usize, Duration),
    /// It was removed, and sees what it has to its end.
    pub is_leaving: bool,
}

/// What large results take in one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cluster", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct WorkerMemory {
    /// Bytes that may be in memory.
    pub budget_bytes: u64,
    /// Bytes that are.
    pub resident_bytes: u64,
    /// Bytes that are on disk.
    pub stored_bytes: u64,
}

/// What a worker says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cluster", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Doing {
    pub(crate) tasks: TaskCounts,
    pub(crate) lost_processors: u32,
    pub(crate) traffic: Traffic,
    pub(crate) memory: WorkerMemory,
}

impl Doing {
    /// What this process does.
    pub(crate) fn here() -> Doing {
        let overdue = poniard_pool::overdue(grace());
        let lost: BTreeSet<_> = overdue.iter().map(|overdue| overdue.running.on).collect();
        let usage = crate::memory().usage();
        let memory = WorkerMemory {
            budget_bytes: usage.budget_bytes,
            resident_bytes: usage.resident_bytes,
            stored_bytes: usage.stored_bytes,
        };
        let lost_processors = lost.len() as u32;
        Doing { tasks: TaskCounts::here(), lost_processors, traffic: traffic(), memory }
    }
}

/// How long a task may run on after it was cancelled before its processor counts as lost, in nanoseconds.
static GRACE_NS: AtomicU64 = AtomicU64::new(5_000_000_000);

/// Says how long a task may run on after it was cancelled before its processor counts as lost.
pub fn set_grace(grace: Duration) {
    GRACE_NS.store(u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// How long that is.
pub(crate) fn grace() -> Duration {
    Duration::from_nanos(GRACE_NS.load(Ordering::Relaxed))
}

impl WorkerStatus {
    /// Of this process.
    pub fn here() -> WorkerStatus {
        WorkerStatus::of(poniard_pool::me(), Some(Doing::here()))
    }

    /// Of a worker that says this of itself.
    pub(crate) fn of(worker: WorkerId, doing: Option<Doing>) -> WorkerStatus {
        let (node, labels, processors) = directory::of(worker).unwrap_or_default();
        WorkerStatus {
            worker,
            node,
            labels,
            processors,
            tasks: doing.map(|doing| doing.tasks),
            lost_processors: doing.map_or(0, |doing| doing.lost_processors),
            traffic: doing.map_or_else(Traffic::default, |doing| doing.traffic),
            memory: doing.map_or_else(WorkerMemory::default, |doing| doing.memory),
            ours: (0, Duration::ZERO),
            is_leaving: false,
        }
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
