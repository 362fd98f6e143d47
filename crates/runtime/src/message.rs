//! What workers say to each other.

use poniard_model::codec::{Encoded, SharedBytes};
use poniard_model::{CauseTold, ProcessorKind, TaskId, Worker, WorkerId};
use poniard_sched::{Order, Report, Sending};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Something that a worker says to another.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Message {
    /// To everybody who joins, first of all: who the sender is.
    Hello(Member),
    /// To worker 1: who the sender has met.
    Met(Vec<WorkerId>),
    /// From one scheduler to another: run these tasks.
    Run {
        /// Grows with each such message between the two.
        number: u64,
        /// What to run, and how.
        tasks: Vec<(Order, Run)>,
    },
    /// From one scheduler to another: a task has ended.
    Done(Report, Outcome),
    /// From the owner: it knows that the task begins.
    Begin(Sending),
    /// Anything else that one scheduler says to another.
    Scheduling(poniard_sched::Message),
    /// To a worker: end, in order.
    Stop,
}

/// How a task ended, with what it made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Made(Bytes),
    /// Its value cannot leave the worker that made it, for this reason.
    Stays(String),
    Failed(CauseTold),
}

/// A worker as it is told to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) worker: Worker,
    pub(crate) processors: Vec<ProcessorKind>,
}

/// A task that is to be run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Its owner's number of it.
    pub(crate) task: TaskId,
    /// Offsets of its entry, its function and its site.
    pub(crate) entry: u64,
    pub(crate) body: u64,
    pub(crate) site: u64,
    /// What it asked for.
    pub(crate) demand: DemandTold,
    /// Its arguments.
    pub(crate) pieces: Vec<PieceTold>,
}

/// What a task asked for, as far as it matters where it runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DemandTold {
    pub(crate) name: Option<String>,
    pub(crate) priority: i32,
    pub(crate) share: u32,
    pub(crate) width: u32,
    /// The processors there on which it may run; `None` is all.
    pub(crate) fits: Option<Vec<u32>>,
    pub(crate) memory: u64,
    pub(crate) nanoseconds: u64,
}

/// A part of a task's arguments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum PieceTold {
    Value(Bytes),
    Count(u32),
}

/// A value: its head and its buffers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bytes {
    head: Vec<u8>,
    buffers: Vec<Vec<u8>>,
}

impl PieceTold {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        match self {
            PieceTold::Value(bytes) => bytes.len(),
            PieceTold::Count(_) => 0,
        }
    }
}

impl Bytes {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.buffers.iter().map(Vec::len).sum::<usize>()
    }
}

impl From<&Encoded> for Bytes {
    fn from(encoded: &Encoded) -> Bytes {
        let buffers = encoded.buffers().iter().map(|buffer| buffer.bytes().to_vec()).collect();
        Bytes { head: encoded.head().to_vec(), buffers }
    }
}

impl From<Bytes> for Encoded {
    fn from(bytes: Bytes) -> Encoded {
        let shared = |buffer| Arc::new(Buffer(buffer)) as Arc<dyn SharedBytes>;
        Encoded::from_parts(bytes.head, bytes.buffers.into_iter().map(shared).collect())
    }
}

/// A buffer that came with a message.
struct Buffer(Vec<u8>);

impl SharedBytes for Buffer {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Message {
    /// As bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("what we say has a length, and memory for it")
    }

    /// From bytes.
    ///
    /// # Errors
    /// When they are no message.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Message, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}
