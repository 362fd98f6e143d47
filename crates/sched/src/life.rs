//! One life of a worker: its number, and how often there was a worker of that number before.

use poniard_model::WorkerId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One life of a worker.
///
/// A worker that was declared gone may come back, or be replaced under its number: as another life. What one life was told
/// or has said means nothing to the next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Life {
    /// The worker.
    pub worker: WorkerId,
    /// How many lives of this number came before, from 0. Only grows.
    pub incarnation: u32,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.incarnation {
            0 => write!(f, "{}", self.worker),
            again => write!(f, "{}#{again}", self.worker),
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The death of a worker that had a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// Who died.
    pub of: Life,
    /// The signal that killed it, if that is known.
    pub signal: Option<i32>,
}

/// What a signal says of how a process died, in words behind its number.
fn meaning(signal: i32) -> &'static str {
    // As Linux numbers them, on all machines that we know of.
    match signal {
        4 => " (an instruction that there is not)",
        7 => " (memory that cannot be had: a file was cut, or a disk is full)",
        9 => " (killed by somebody or for want of memory)",
        11 => " (a wrong address or a full stack: too deep a recursion)",
        _ => "",
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.signal {
            Some(signal) => write!(f, "{} by signal {signal}{}", self.of, meaning(signal)),
            None => write!(f, "{}", self.of),
        }
    }
}
