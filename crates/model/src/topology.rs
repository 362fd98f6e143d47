//! The workers and processors that exist.

use crate::ids::{ProcessorId, WorkerId};
use serde::{Deserialize, Serialize};

/// What a processor is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

/// What is said of one worker, besides its processors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Its number.
    pub id: WorkerId,
    /// The name of its machine, for [`Scope::node`](crate::Scope::node).
    pub node: String,
    /// Its labels, for [`Scope::label`](crate::Scope::label).
    pub labels: Vec<String>,
}

/// The processors of all workers, and what is said of the workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Every processor, in the order of its id.
    pub processors: Vec<Processor>,
    /// Every worker, in the order of its id.
    pub workers: Vec<Worker>,
    /// Workers that are gone, and what became of each: those that went last are at the end, and the first of very many are
    /// forgotten.
    pub gone: Vec<(WorkerId, String)>,
}

/// Workers that are gone and still known: error messages list them.
const GONE_MAX: usize = 16;

impl Topology {
    /// One worker with `threads` CPU processors.
    pub fn one_worker(threads: usize, node: String, labels: Vec<String>) -> Topology {
        let mut topology = Topology::default();
        let worker = Worker { id: WorkerId::FIRST, node, labels };
        topology.join(worker, &vec![ProcessorKind::Cpu; threads]);
        topology
    }

    /// Adds a worker with processors of these kinds, in the place of one of the same number.
    pub fn join(&mut self, worker: Worker, processors: &[ProcessorKind]) {
        let id = worker.id;
        self.leave(id);
        let at = self.workers.partition_point(|other| other.id < id);
        self.workers.insert(at, worker);
        let at = self.processors.partition_point(|other| other.id.worker < id);
        let numbered = (0..).zip(processors);
        let processors =
            numbered.map(|(index, kind)| Processor { id: ProcessorId { worker: id, index }, kind: *kind });
        self.processors.splice(at..at, processors);
    }

    /// Takes a worker out, with its processors.
    pub fn leave(&mut self, worker: WorkerId) {
        self.workers.retain(|other| other.id != worker);
        self.processors.retain(|processor| processor.id.worker != worker);
    }

    /// Takes a worker out, and remembers what became of it. One that went before is remembered as it was told first.
    pub fn lose(&mut self, worker: WorkerId, how: impl Into<String>) {
        self.leave(worker);
        if self.gone.iter().all(|(other, _)| *other != worker) {
            self.gone.push((worker, how.into()));
        }
        if self.gone.len() > GONE_MAX {
            self.gone.remove(0);
        }
    }

    /// The worker with this number.
    pub fn worker(&self, worker: WorkerId) -> Option<&Worker> {
        let at = self.workers.binary_search_by_key(&worker, |other| other.id).ok()?;
        Some(&self.workers[at])
    }

    /// The processors of one worker, in the order of their numbers.
    pub fn processors_of(&self, worker: WorkerId) -> &[Processor] {
        let from = self.processors.partition_point(|processor| processor.id.worker < worker);
        let len = self.processors[from..].partition_point(|processor| processor.id.worker == worker);
        &self.processors[from..from + len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_and_processors_stay_in_the_order_of_their_ids() {
        let mut topology = Topology::one_worker(2, "a".into(), Vec::new());
        let worker = |id, node: &str| Worker { id: WorkerId(id), node: node.into(), labels: Vec::new() };
        topology.join(worker(3, "c"), &[ProcessorKind::Cpu; 2]);
        topology.join(worker(2, "b"), &[ProcessorKind::Cpu; 1]);
        topology.join(worker(3, "d"), &[ProcessorKind::Cpu; 1]);
        let ids: Vec<String> = topology.processors.iter().map(|processor| processor.id.to_string()).collect();
        assert_eq!(ids, ["w1/cpu0", "w1/cpu1", "w2/cpu0", "w3/cpu0"]);
        assert_eq!(topology.worker(WorkerId(3)).unwrap().node, "d");
        topology.leave(WorkerId(2));
        assert_eq!((topology.workers.len(), topology.processors_of(WorkerId(2)).len()), (2, 0));
        assert_eq!(topology.processors_of(WorkerId(3)).len(), 1);
    }

    #[test]
    fn those_that_are_gone_are_remembered_as_they_were_told_first_and_not_for_ever() {
        let mut topology = Topology::one_worker(1, "a".into(), Vec::new());
        topology.lose(WorkerId(2), "was removed");
        topology.lose(WorkerId(2), "ended");
        assert_eq!(topology.gone, [(WorkerId(2), "was removed".to_owned())]);
        (3..40).for_each(|id| topology.lose(WorkerId(id), "ended"));
        assert_eq!((topology.gone.len(), topology.gone[0].0), (GONE_MAX, WorkerId(24)));
    }
}
