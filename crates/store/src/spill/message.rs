//! What the policy is told and what it answers.

use super::chunk::{ChunkId, Spill};
use super::error::Error;
use super::policy::Lane;
use poniard_model::TaskId;
use std::fmt;
use std::sync::Arc;

/// What the policy may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes in memory that the policy keeps to.
    pub budget: u64,
    /// Bytes in memory that one task, let in alone, may bring it to; a task that needs more fails.
    pub alone: u64,
    /// Bytes on disk.
    pub spill: u64,
    /// Chunks of the usual size that are kept free by writing behind, and as many that are read ahead. Three hide
    /// the disk behind the work; 0 does neither.
    pub window: u64,
    /// Transfers under way at a time: what the writer's queue takes.
    pub transfers: usize,
    /// Processors: as many tasks are let in at a time, beside those that hold none.
    pub processors: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            budget: u64::MAX,
            alone: u64::MAX,
            spill: u64::MAX,
            window: 3,
            transfers: 256,
            processors: usize::MAX,
        }
    }
}

/// A chunk that now exists, in memory unless it is remote.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Which chunk.
    pub chunk: ChunkId,
    /// Its size in memory.
    pub bytes: u64,
    /// Whether it may leave memory.
    pub spill: Spill,
    /// Whether somebody holds it from the start: [`Event::Unpinned`] follows.
    pub is_held: bool,
    /// Whether its bytes are in another process, from where it is read like from disk, once: then they are here.
    pub is_remote: bool,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A user has put a value. It is in memory already, whatever the budget says.
    Made(Made),
    /// A task will read `inputs`, some of which no task may have made yet, and make about `result` bytes. Numbers
    /// grow in order of submission.
    Submitted {
        /// The task.
        task: TaskId,
        /// What it reads; a chunk named twice counts once.
        inputs: Vec<ChunkId>,
        /// The size of its result, declared or learned.
        result: u64,
    },
    /// A task that has not asked yet will read one more chunk. A task that is not known is submitted by this.
    Reads(TaskId, ChunkId),
    /// A task will make about so many bytes. One that is not known is submitted by this.
    Makes(TaskId, u64),
    /// The limits are others from now on.
    Limits(Limits),
    /// The task is ready and has a processor, or runs beside them. `Admit` or `Fail` answers, when its turn has come.
    Asked(TaskId, Lane),
    /// The task is ready that makes the chunk again. `Admit` or `Fail` answers, when its turn has come.
    AskedAgain(TaskId, ChunkId),
    /// An admitted task now waits for another one: it does not count as running. One that has ended is none: its body
    /// goes on past its time limit.
    Paused(TaskId),
    /// It runs again. One that has ended is none.
    Resumed(TaskId),
    /// The task has ended, failed, or was cancelled, in whatever stage it was. A task that is not known, because the
    /// policy has failed it, is none.
    Ended {
        /// The task.
        task: TaskId,
        /// What it made.
        result: Option<Made>,
    },
    /// A user holds the chunk, which is in memory.
    Pinned(ChunkId),
    /// A user has let go of it.
    Unpinned(ChunkId),
    /// The last handle is gone: the chunk goes at once, or with the last task or user that has it in hand.
    /// What is released before a task has made it, and read by no other, is not to be announced any more.
    Released(ChunkId),
    /// A write has ended.
    WriteEnded {
        /// The chunk that was written.
        chunk: ChunkId,
        /// What became of it.
        outcome: Written,
    },
    /// A read has ended.
    ReadEnded {
        /// The chunk that was read.
        chunk: ChunkId,
        /// Whether its bytes are in memory.
        outcome: Result<(), Arc<Error>>,
    },
    /// The read of a remote chunk waits for tasks, perhaps of this process: nothing counts on its end.
    Stalled(ChunkId),
    /// A chunk was made again, or could not be, and the task that was to do it has ended.
    Remade {
        /// The chunk.
        chunk: ChunkId,
        /// What became of it.
        outcome: Remade,
    },
}

/// How a write ended.
#[derive(Debug)]
pub enum Written {
    /// The chunk takes this many bytes on disk.
    Stored(u64),
    /// The write was taken back before it had begun, or on its way.
    Cancelled,
    /// The chunk is not on disk.
    Failed(Arc<Error>),
    /// The chunk cannot be written: it stays in memory for good.
    Unfit,
}

/// How making a chunk again ended.
#[derive(Debug)]
pub enum Remade {
    /// It is in memory, with this size.
    Made(u64),
    /// The task was ended for another reason than its own: it is begun once more for whoever still waits.
    Halted,
    /// Its function failed.
    Failed(Arc<Error>),
}

/// What to do, in order, and before the policy is told anything else.
#[derive(Debug)]
pub enum Action {
    /// Write the chunk to disk; `WriteEnded` follows.
    Write(ChunkId),
    /// Give back the memory of the chunk: its bytes are on disk, or it can be made again.
    Drop(ChunkId),
    /// Make the chunk again, by a task that asks with `AskedAgain`; `Remade` follows.
    Remake(ChunkId),
    /// Take memory for the chunk and read it; `ReadEnded` follows.
    Read(ChunkId, Haste),
    /// A task waits for the chunk, which is being read ahead.
    Hurry(ChunkId),
    /// Nobody wants the chunk that is being written or read. The end of the transfer must be told all the same.
    Cancel(ChunkId),
    /// Give back the chunk's place on disk; it is in memory.
    Forget(ChunkId),
    /// Give back all that the chunk has, in memory and on disk.
    Free(ChunkId),
    /// Run the task: its inputs are in memory, and pinned until it ends.
    Admit(TaskId),
    /// The task cannot run. The policy has forgotten it.
    Fail(TaskId, Why),
}

/// Who waits for a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Haste {
    /// A task that was let in.
    Task,
    /// Nobody yet.
    Ahead,
}

/// Why a task cannot run.
#[derive(Clone, Debug)]
pub enum Why {
    /// It needs more than even a task alone may have.
    TooLarge {
        /// Bytes that it needs beside those in use.
        need: u64,
        /// Bytes in use that cannot leave.
        used: u64,
        /// Bytes that there may be.
        limit: u64,
    },
    /// What would have to leave memory exceeds the spill limit.
    SpillLimit {
        /// Bytes that the task lacks.
        need: u64,
        /// Bytes on disk.
        stored: u64,
        /// Bytes that there may be on disk.
        limit: u64,
    },
    /// What would have to leave memory was refused by the disk.
    Disk(Arc<Error>),
    /// An input could not be read back, or made again.
    Unreadable(ChunkId, Arc<Error>),
}

impl std::error::Error for Why {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Why::Disk(error) | Why::Unreadable(_, error) => Some(&**error),
            _ => None,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::TooLarge { need, used, limit } => {
                write!(
                    f,
                    "needs {need} bytes of memory beside {used} that cannot leave; the limit is {limit}"
                )
            }
            Why::SpillLimit { need, stored, limit } => {
                write!(
                    f,
                    "lacks {need} bytes of memory, and {stored} of the {limit} bytes for spilling are used"
                )
            }
            Why::Disk(error) => write!(f, "lacks memory, because nothing can be spilled: {error}"),
            Why::Unreadable(chunk, error) => write!(f, "cannot have its input {chunk}: {error}"),
        }
    }
}
