//! What is known of another worker.

use crate::life::Life;
use poniard_model::{Numbered, TaskId};
use std::collections::BTreeSet;
use std::time::Duration;

/// What is known of another worker. All of it ends with its life.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) life: Life,
    /// How many processors it has; at least 1, for it divides.
    pub(crate) processors: u64,
    /// Our tasks that were sent there and have not ended, in the order of their sending.
    pub(crate) sent: Numbered<u64, TaskId>,
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
    /// Its wish for work, while it stands.
    pub(crate) hunger: Option<Hunger>,
    /// The number of its last wish.
    pub(crate) ask_seen: u64,
    /// `Run` messages sent to it.
    pub(crate) runs_sent: u64,
    /// And those seen from it.
    pub(crate) runs_seen: Seen,
}

/// A wish for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hunger {
    pub(crate) since: Duration,
    /// Idle processors; at least 1.
    pub(crate) processors: u32,
}

/// Numbers, counted up from 1, of messages that have come: each once, and large ones after smaller ones that were sent later.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// All up to this one.
    up_to: u64,
    /// And these.
    later: BTreeSet<u64>,
}

impl Seen {
    /// Takes note of one; false when it has come before.
    pub(crate) fn note(&mut self, number: u64) -> bool {
        if number <= self.up_to || !self.later.insert(number) {
            return false;
        }
        while self.later.remove(&(self.up_to + 1)) {
            self.up_to += 1;
        }
        true
    }
}

impl Peer {
    pub(crate) fn new(life: Life, processors: usize) -> Peer {
        Peer {
            life,
            processors: (processors as u64).max(1),
            sent: Numbered::new(),
            sendings: 0,
            committed_ns: 0,
            results: BTreeSet::new(),
            suspects: BTreeSet::new(),
            is_recalling: false,
            recall_below: None,
            is_leaving: false,
            hunger: None,
            ask_seen: 0,
            runs_sent: 0,
            runs_seen: Seen::default(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_new_once_in_whatever_order_they_come() {
        let mut seen = Seen::default();
        let news: Vec<bool> = [1, 3, 2, 2, 3, 6, 4, 1, 5, 6].into_iter().map(|n| seen.note(n)).collect();
        assert_eq!(news, [true, true, true, false, false, true, true, false, true, false]);
        assert_eq!((seen.up_to, seen.later.len()), (6, 0));
    }
}
