//! The processors that exist.

use crate::ids::{ProcessorId, WorkerId};

/// What a processor is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProcessorKind {
    /// A thread of a CPU.
    Cpu,
}

/// One processor: it runs one fully occupying task at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processor {
    /// Its name.
    pub id: ProcessorId,
    /// What it is made of.
    pub kind: ProcessorKind,
}

/// The processors of all workers, and what is said of the workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Every processor, in the order of its id.
    pub processors: Vec<Processor>,
    /// The name of the machine.
    pub node: String,
    /// The labels of this worker, for [`Scope::label`](crate::Scope::label).
    pub labels: Vec<String>,
}

impl Topology {
    /// One worker with `threads` CPU processors.
    pub fn one_worker(threads: usize, node: String, labels: Vec<String>) -> Topology {
        let processors = (0..threads as u32)
            .map(|index| Processor {
                id: ProcessorId { worker: WorkerId::FIRST, index },
                kind: ProcessorKind::Cpu,
            })
            .collect();
        Topology { processors, node, labels }
    }
}
