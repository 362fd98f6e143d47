//! Who is who. An id is a number that prints short: `t42`, `c7`, `w1`, `w1/cpu3`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A task, unique in the process that spawned it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId(pub u64);

/// A chunk, unique in its process: it has the number of the task that made it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkId(pub u64);

/// A worker process; worker 1 is the one that the user started.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerId(pub u32);

/// A processor of a worker, numbered from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessorId {
    /// The worker that it belongs to.
    pub worker: WorkerId,
    /// Its number among that worker's processors.
    pub index: u32,
}

impl WorkerId {
    /// The process that the user started.
    pub const FIRST: WorkerId = WorkerId(1);
}

impl From<TaskId> for ChunkId {
    fn from(task: TaskId) -> ChunkId {
        ChunkId(task.0)
    }
}

impl From<u64> for TaskId {
    fn from(number: u64) -> TaskId {
        TaskId(number)
    }
}

impl From<TaskId> for u64 {
    fn from(task: TaskId) -> u64 {
        task.0
    }
}

impl From<u32> for WorkerId {
    fn from(number: u32) -> WorkerId {
        WorkerId(number)
    }
}

/// `Debug` and `Display` of an id are the same short form.
macro_rules! prints_as {
    ($id:ty, $self:ident => $format:literal, $($part:expr),+) => {
        impl fmt::Debug for $id {
            fn fmt(&$self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, $($part),+)
            }
        }
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        }
    };
}

prints_as!(TaskId, self => "t{}", self.0);
prints_as!(ChunkId, self => "c{}", self.0);
prints_as!(WorkerId, self => "w{}", self.0);
prints_as!(ProcessorId, self => "{}/cpu{}", self.worker, self.index);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_short() {
        let processor = ProcessorId { worker: WorkerId(1), index: 3 };
        assert_eq!(format!("{} {} {} {processor}", TaskId(42), ChunkId(7), WorkerId(2)), "t42 c7 w2 w1/cpu3");
    }
}
