//! What workers say to each other.

use crate::status::Doing;
use poniard_model::{CauseTold, ProcessorKind, TaskId, TaskOptions, Worker, WorkerId};
use poniard_sched::{Order, Report, Sending};
use poniard_store::refs::{GlobalChunk, Grant, Note};
use poniard_store::{Buf, SharedPlace};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

/// Something that a worker says to another.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Message {
    /// To everybody who joins, first of all: who the sender is.
    Hello(Member),
    /// The sender can read the receiver's memory.
    Sees,
    /// The sender reads no more what the receiver has lent it under these numbers.
    Over(Vec<u64>),
    /// The sender cannot come to the receiver by a line: it is to send what it has lent under these numbers, and all later values, by
    /// messages.
    Unreached(Vec<u64>),
    /// What the sender has lent the receiver under this number.
    Carried(u64, Vec<u8>),
    /// Who has handles of whose tasks.
    Handles(Note),
    /// To the owner of a task: the sender wants its result.
    Wants(GlobalChunk),
    /// To the owner of a task: the sender has a handle of it, and wants it to stop.
    Cancel(GlobalChunk),
    /// From the owner of a task: how it has ended.
    Result(GlobalChunk, Outcome),
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
    /// From the owner of these tasks: nobody needs what they have made at the receiver's any more.
    Drop(Vec<TaskId>),
    /// From the owner: it knows that the task begins.
    Begin(Sending),
    /// Anything else that one scheduler says to another.
    Scheduling(poniard_sched::Message),
    /// What does the receiver do? By this number.
    Asks(u64),
    /// What the sender does: the answer to that number.
    Answers(u64, Doing),
    /// To a worker: take nothing more, and end when what is there has ended.
    Leave,
    /// The answer, if it does not leave: so many data live there of which others have handles.
    Stays(u64),
    /// To worker 1: end the sender's process, for a task that was cancelled there does not return, and start another one.
    Perish,
    /// To a worker: end, in order.
    Stop,
}

/// How a task ended, with what it made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Outcome<V = Bytes> {
    Made(V),
    /// With a value that is not sent: it is with the worker that made it, or its owner knows where.
    Elsewhere,
    /// Its value cannot leave the worker that made it, for this reason.
    Stays(String),
    /// Why, and in which attempt.
    Failed(CauseTold, u32),
}

impl<V> Outcome<V> {
    /// The same with its value packed, or opened.
    pub(crate) fn try_map<W, E>(self, change: impl FnOnce(V) -> Result<W, E>) -> Result<Outcome<W>, E> {
        Ok(match self {
            Outcome::Made(value) => Outcome::Made(change(value)?),
            Outcome::Elsewhere => Outcome::Elsewhere,
            Outcome::Stays(why) => Outcome::Stays(why),
            Outcome::Failed(told, attempt) => Outcome::Failed(told, attempt),
        })
    }
}

/// A worker as it is told to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) worker: Worker,
    pub(crate) processors: Vec<ProcessorKind>,
    /// Some bytes, and where they lie in its memory: who finds them there is on the same host.
    pub(crate) sample: (Vec<u8>, Option<SharedPlace>),
    /// Where workers of other hosts ask for what it has lent them.
    pub(crate) line: Option<String>,
}

/// A task that is to be run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Its owner's number of it.
    pub(crate) task: TaskId,
    /// Offsets of its entry, its function and its site.
    pub(crate) entry: u64,
    pub(crate) body: u64,
    pub(crate) site: SiteTold,
    /// What it asked for.
    pub(crate) demand: DemandTold,
    /// How it is tried there, if all its attempts are made there.
    pub(crate) attempts: AttemptsTold,
    /// Whether its result stays where it is made.
    pub(crate) rest: RestTold,
    /// What it hands to the tasks that it spawns.
    pub(crate) inherited: Option<Box<InheritedTold>>,
    /// Its arguments.
    pub(crate) pieces: Vec<PieceTold>,
}

/// Whether a result stays with the worker that makes it, if that is on another host than the task's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RestTold {
    /// It goes to the owner, with the report.
    Never,
    /// It stays if it is large.
    IfLarge,
    /// It stays: it was lost, and is made again for others.
    Always,
}

/// Where a task was spawned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum SiteTold {
    /// So far from the beginning of the executable.
    Offset(u64),
    /// By the function form, which makes its sites as it goes.
    Words { name: String, file: String, line: u32 },
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

/// How often a task is tried where it runs, and how long each attempt may take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct AttemptsTold {
    pub(crate) retries: Option<RetriesTold>,
    pub(crate) timeout: Option<Duration>,
}

/// [`Retries`](poniard_model::Retries), with the offset of the filter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RetriesTold {
    pub(crate) max: u32,
    pub(crate) on_error: bool,
    pub(crate) backoff: Duration,
    pub(crate) backoff_max: Duration,
    pub(crate) filter: Option<u64>,
}

/// What a task hands to those that it spawns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InheritedTold {
    pub(crate) options: TaskOptions,
    pub(crate) retries: Option<RetriesTold>,
}

/// A part of a task's arguments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum PieceTold {
    Value(Bytes),
    /// The result of this task of the sender's, which has this name. This worker had it last.
    Result {
        task: TaskId,
        name: String,
        at: WorkerId,
    },
    Count(u32),
    /// A datum of the receiver's.
    Datum(HandleTold),
}

/// A value: its head and its buffers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bytes {
    head: Vec<u8>,
    buffers: Vec<BufferTold>,
    handles: Vec<HandleTold>,
}

/// A handle, in a value or among arguments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HandleTold {
    pub(crate) of: GlobalChunk,
    pub(crate) grant: Grant,
    pub(crate) kind: KindTold,
}

/// What it is a handle of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum KindTold {
    /// A task with this name.
    Task(String),
    /// A datum, which stays where it is.
    Datum,
}

/// A buffer of a value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum BufferTold {
    /// With the message.
    Here(Vec<u8>),
    /// In the memory of the sender, who keeps it until it hears that this lease is over.
    Lent { place: SharedPlace, lease: u64 },
    /// With the sender, on another host, who keeps it until it hears that this lease is over.
    Afar { lease: u64, len: usize },
    /// Came from there by a line, or cannot be had for this reason.
    #[serde(skip)]
    Pulled(Result<Buf, String>),
}

impl Bytes {
    pub(crate) fn new(head: Vec<u8>, buffers: Vec<BufferTold>) -> Bytes {
        Bytes { head, buffers, handles: Vec::new() }
    }

    pub(crate) fn with_handles(self, handles: Vec<HandleTold>) -> Bytes {
        Bytes { handles, ..self }
    }

    /// The handles in it, which are taken out.
    pub(crate) fn take_handles(&mut self) -> Vec<HandleTold> {
        std::mem::take(&mut self.handles)
    }

    /// The leases of its buffers that are with a sender on another host, and their lengths.
    pub(crate) fn afar(&self) -> impl Iterator<Item = (u64, usize)> {
        self.buffers.iter().filter_map(|buffer| match buffer {
            BufferTold::Afar { lease, len } => Some((*lease, *len)),
            BufferTold::Here(_) | BufferTold::Lent { .. } | BufferTold::Pulled(_) => None,
        })
    }

    /// The leases of those that are in the memory of this host.
    pub(crate) fn lent(&self) -> impl Iterator<Item = u64> {
        self.buffers.iter().filter_map(|buffer| match buffer {
            BufferTold::Lent { lease, .. } => Some(*lease),
            BufferTold::Here(_) | BufferTold::Afar { .. } | BufferTold::Pulled(_) => None,
        })
    }

    /// Puts in the buffers that were afar, by their leases.
    pub(crate) fn fill(&mut self, pulled: &HashMap<u64, Result<Buf, String>>) {
        for buffer in &mut self.buffers {
            if let BufferTold::Afar { lease, .. } = buffer {
                *buffer = BufferTold::Pulled(pulled[lease].clone());
            }
        }
    }

    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<BufferTold>) {
        (self.head, self.buffers)
    }
}

impl Run {
    /// The values among its arguments.
    pub(crate) fn values(&mut self) -> Vec<&mut Bytes> {
        let values = self.pieces.iter_mut().filter_map(|piece| match piece {
            PieceTold::Value(value) => Some(value),
            PieceTold::Count(_) | PieceTold::Datum(_) | PieceTold::Result { .. } => None,
        });
        values.collect()
    }
}

impl Message {
    /// The values in it, but for those of tasks that are to be run: these are waited for one by one.
    pub(crate) fn values(&mut self) -> Vec<&mut Bytes> {
        match self {
            Message::Done(_, Outcome::Made(value)) | Message::Result(_, Outcome::Made(value)) => vec![value],
            Message::Done(..) | Message::Result(..) => Vec::new(),
            Message::Hello(_)
            | Message::Sees
            | Message::Over(_)
            | Message::Unreached(_)
            | Message::Carried(..)
            | Message::Handles(_)
            | Message::Wants(_)
            | Message::Cancel(_)
            | Message::Met(_)
            | Message::Run { .. }
            | Message::Drop(_)
            | Message::Begin(_)
            | Message::Scheduling(_)
            | Message::Asks(_)
            | Message::Answers(..)
            | Message::Leave
            | Message::Stays(_)
            | Message::Perish
            | Message::Stop => Vec::new(),
        }
    }

    /// As bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    /// Behind others, as bytes.
    pub(crate) fn write(&self, letter: &mut Vec<u8>) {
        let written = postcard::serialize_with_flavor(self, Behind(letter));
        written.expect("what we say has a length, and memory for it");
    }

    /// From bytes: one message behind the other. Ends with the first thing that is none.
    pub(crate) fn read_all(
        mut letter: &[u8],
    ) -> impl Iterator<Item = Result<Message, postcard::Error>> + use<'_> {
        std::iter::from_fn(move || {
            if letter.is_empty() {
                return None;
            }
            let read = postcard::take_from_bytes(letter);
            letter = read.as_ref().map_or(&[], |(_, rest)| rest);
            Some(read.map(|(message, _)| message))
        })
    }
}

/// Writes behind what is there.
struct Behind<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Behind<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
