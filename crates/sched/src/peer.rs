//! What is known of another worker.

use crate::life::Life;
use poniard_model::TaskId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is known of another worker. All of it ends with its life.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) life: Life,
    /// How many processors it has; at least 1, for it divides.
    pub(crate) processors: u64,
    /// Our tasks that were sent there and have not ended, in the order of their sending.
    pub(crate) sent: BTreeMap<u64, TaskId>,
    /// Sendings to it, ever.
    pub(crate) sendings: u64,
    /// What `sent` is expected to take, in nanoseconds: the sum of their `expected_ns`.
    pub(crate) committed_ns: u64,
    /// Our results of which it has a copy.
    pub(crate) results: BTreeSet<TaskId>,
    /// The quarantined tasks there: one, and those that others wait for.
    pub(crate) suspects: BTreeSet<TaskId>,
    /// Whether it has not answered a recall.
    pub(crate) is_recalling: bool,
    /// Where the search for tasks to call back goes on, downwards; at the newest when not set.
    pub(crate) recall_below: Option<u64>,
    /// It takes nothing more, and is no place for tasks.
    pub(crate) is_leaving: bool,
    /// Its process is ended on purpose: its death is held against no task.
    pub(crate) is_perishing: bool,
    /// Its wish for work, while it stands.
    pub(crate) hunger: Option<Hunger>,
    /// The number of its last wish.
    pub(crate) ask_seen: u64,
    /// `Run` messages sent to it, and seen from it.
    pub(crate) runs_sent: u64,
    pub(crate) runs_seen: u64,
}

/// A wish for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hunger {
    pub(crate) since: Duration,
    /// Idle processors; at least 1.
    pub(crate) processors: u32,
}

impl Peer {
    pub(crate) fn new(life: Life, processors: usize) -> Peer {
        Peer {
            life,
            processors: (processors as u64).max(1),
            sent: BTreeMap::new(),
            sendings: 0,
            committed_ns: 0,
            results: BTreeSet::new(),
            suspects: BTreeSet::new(),
            is_recalling: false,
            recall_below: None,
            is_leaving: false,
            is_perishing: false,
            hunger: None,
            ask_seen: 0,
            runs_sent: 0,
            runs_seen: 0,
        }
    }

    /// How long a new task would wait for our own there, in nanoseconds.
    pub(crate) fn wait_ns(&self) -> u64 {
        self.committed_ns / self.processors
    }

    /// How long a task that is there and takes so long waits for the others.
    pub(crate) fn wait_ns_without(&self, expected_ns: u64) -> u64 {
        self.committed_ns.saturating_sub(expected_ns) / self.processors
    }
}
