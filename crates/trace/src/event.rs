//! The events of a task's life.

use poniard_model::{ProcessorId, Site, TaskId};
use std::time::Duration;

/// An event and when it happened.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Time since the recording began, on this machine's monotonic clock.
    pub at: Duration,
    /// What happened.
    pub event: Event,
}

/// Something that happened to a task. Events of one task join by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A task was spawned.
    Spawned {
        /// The new task.
        task: TaskId,
        /// Its function and the place of its spawn.
        site: &'static Site,
    },
    /// A task uses the result of another, or waits for it.
    Input {
        /// The task that waits.
        task: TaskId,
        /// The task that it waits for.
        of: TaskId,
    },
    /// An attempt of a task began.
    Started {
        /// The task.
        task: TaskId,
        /// Where; `None` for a task that holds no processor.
        on: Option<ProcessorId>,
    },
    /// A task ended; this is its last event.
    Finished {
        /// The task.
        task: TaskId,
        /// How.
        outcome: Outcome,
    },
    /// An attempt failed and the task will run again.
    Retried {
        /// The task.
        task: TaskId,
        /// The attempt that failed, from 1.
        attempt: u32,
    },
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a value.
    Done,
    /// With an error: its own, or that of an input.
    Failed,
}
