//! One life of one worker.

use poniard_model::WorkerId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A worker process in one of its lives. Whoever was taken for dead comes back with a larger incarnation, as somebody
/// else: it inherits nothing, and what its old life still says is dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// Who it is.
    pub worker: WorkerId,
    /// Which of its lives: larger is later.
    pub incarnation: u64,
}

impl Peer {
    /// The worker of this number, in this life.
    pub fn new(worker: impl Into<WorkerId>, incarnation: u64) -> Peer {
        Peer { worker: worker.into(), incarnation }
    }

    /// The first and the last peer that a worker can be.
    pub(crate) fn lives(worker: WorkerId) -> std::ops::RangeInclusive<Peer> {
        Peer::new(worker, 0)..=Peer::new(worker, u64::MAX)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{:x}", self.worker, self.incarnation)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
