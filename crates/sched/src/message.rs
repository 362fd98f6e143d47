//! What schedulers tell each other.

use crate::life::Life;
use poniard_model::{ProcessorKind, TaskId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What one scheduler tells another. Messages between two lives arrive in order, once, or not at all because one is gone: that
/// is the link's promise. One that comes twice or late all the same is recognised and dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Owner to executor: run these. The runtime sends the tasks' functions and arguments with it.
    Run {
        /// Grows by one with each such message between the two.
        number: u64,
        /// What to run.
        orders: Vec<Order>,
    },
    /// Executor to owner: a task whose order asked for it starts now. Sent before it does.
    Started(Sending),
    /// Executor to owner: a task has ended. The runtime sends a small result with it.
    Done(Report),
    /// Owner to executor: give back those of these that have not started.
    Recall(Vec<Sending>),
    /// Executor to owner: these have not started, and will not. The others of the recall have.
    Returned(Vec<Sending>),
    /// Owner to executor: nobody wants this any more.
    Cancel(Sending),
    /// To everybody: the sender has idle processors and would like work.
    Idle {
        /// Grows with each wish of the sender.
        ask: u64,
        /// How many.
        processors: u32,
    },
    /// To everybody who was told of the wish: the sender has work now.
    Busy {
        /// Which wish is over.
        ask: u64,
    },
    /// To the owner of a result: where is it? The copies that the sender was told of cannot be had.
    Need {
        /// The task that makes it.
        result: TaskId,
        /// Who does not have it, or cannot be reached.
        tried: Vec<Life>,
    },
    /// From the owner of a result: it is there, made again if that had to be.
    Located {
        /// The task that made it.
        result: TaskId,
        /// Who has a copy.
        at: Vec<Life>,
    },
    /// To everybody: the sender takes nothing more, and ends when what it has has ended.
    Leaving,
    /// To one that leaves: nothing of the sender's is there any more, and nothing will come.
    Parted,
    /// To everybody: the sender's process is about to be ended, for a task that was cancelled does not return. Its other tasks are not to
    /// blame for that.
    Perishing,
    /// To one that perishes: that was heard.
    Noted,
    /// From the owner of a result: it is lost, and cannot be made again.
    Unobtainable {
        /// The task that made it.
        result: TaskId,
    },
}

/// One sending of a task: numbers grow with each, so that whatever is said of an old one can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sending {
    /// The task, by its owner's number.
    pub task: TaskId,
    /// How often its owner had sent it, this time included.
    pub number: u32,
}

/// A task to be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which.
    pub sending: Sending,
    /// How often it has been started, as far as its owner knows, this time included.
    pub attempt: u32,
    /// How long it is expected to run, in nanoseconds, if that is known.
    pub expected_ns: Option<u64>,
    /// Its owner wants to know when it starts: a worker has died that had it.
    pub is_watched: bool,
}

/// How a task has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// With a result.
    Made {
        /// Its size.
        bytes: u64,
        /// Where it is.
        rest: Rest,
    },
    /// With an error of its own, after all the retries that its user allowed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// Where a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rest {
    /// Where it was made, and nowhere else.
    Stays,
    /// It travels with the report, and is the owner's from then on.
    Rides,
}

/// What an executor reports of a task that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which.
    pub sending: Sending,
    /// How.
    pub ending: Ending,
    /// How long it ran, with the time that it waited for others.
    pub ran: Duration,
    /// On what.
    pub kind: ProcessorKind,
}
