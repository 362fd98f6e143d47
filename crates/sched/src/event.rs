//! What the scheduler is told.

use crate::estimate::FunctionKey;
use crate::life::Life;
use crate::message::{Ending, Message};
use crate::spec::Spec;
use poniard_model::{ProcessorKind, TaskId, Worker, WorkerId};
use std::time::Duration;

/// What the scheduler is told. Nothing of tasks that stay in their process.
#[derive(Clone, Debug)]
pub enum Event {
    /// A worker is there. Told before any message of it, and of each worker that was there first.
    Joined {
        /// Who.
        life: Life,
        /// Its machine and labels.
        worker: Worker,
        /// Its processors.
        processors: Vec<ProcessorKind>,
    },
    /// A worker is gone for good.
    Gone {
        /// Who.
        life: Life,
        /// The signal that killed it, if that is known.
        signal: Option<i32>,
    },
    /// A message came.
    Message {
        /// From whom.
        from: Life,
        /// What it says.
        message: Message,
    },
    /// Tasks of ours are ready, and this process is not the place for them: their scopes say so, or most of their inputs are elsewhere.
    Ready {
        /// The tasks: what one worker gets of them goes in one message.
        specs: Vec<Spec>,
        /// Tasks that are ready in the pool of this process.
        queued: u64,
    },
    /// The answer to [`Action::Take`](crate::Action::Take): tasks out of the pool of this process, coldest first.
    Offered {
        /// The tasks. None means: not now, but as soon as there are some.
        specs: Vec<Spec>,
        /// Ready tasks that stay in the pool.
        queued: u64,
    },
    /// Processors of this process have nothing to do. Told again after each change of the number, and when work that was given
    /// to this process has run out.
    Idle {
        /// How many of them; 0 when they have work of their own again.
        processors: u32,
    },
    /// A watched task of another owner is about to start.
    Started {
        /// Whose.
        owner: WorkerId,
        /// Which.
        task: TaskId,
    },
    /// A task that this scheduler has handed to the pool of this process has ended: a foreign one
    /// ([`Action::Start`](crate::Action::Start)) or one of ours ([`Action::RunHere`](crate::Action::RunHere)).
    Finished {
        /// Whose.
        owner: WorkerId,
        /// Which.
        task: TaskId,
        /// How.
        ending: Ending,
        /// How long it ran.
        ran: Duration,
        /// On what.
        kind: ProcessorKind,
    },
    /// The answer to [`Action::Withdraw`](crate::Action::Withdraw): the tasks that had not started, and are out of the pool.
    Withdrawn {
        /// Whose.
        owner: WorkerId,
        /// Which.
        tasks: Vec<TaskId>,
    },
    /// The user cancels a task of ours.
    Cancel(TaskId),
    /// Nobody has a handle of this task's result any more, in any process.
    Released(TaskId),
    /// Somebody here needs a result, and its copies cannot be had.
    Missing {
        /// Whose.
        owner: WorkerId,
        /// The task that makes it.
        result: TaskId,
        /// Who does not have it, or cannot be reached.
        tried: Vec<Life>,
    },
    /// There is one more copy of a result of ours.
    Copied {
        /// The task that made it.
        result: TaskId,
        /// Who has the copy.
        to: Life,
    },
    /// A copy of a result of ours is no more.
    Dropped {
        /// The task that made it.
        result: TaskId,
        /// Who had it.
        by: Life,
    },
    /// This process is to leave the others: it takes nothing more from them, and is told by
    /// [`Action::Depart`](crate::Action::Depart) when it may go.
    Leave,
    /// One of the tasks that stayed in this process ran; the runtime tells of one in many.
    Sampled {
        /// What it ran.
        function: FunctionKey,
        /// On what.
        kind: ProcessorKind,
        /// How long.
        ran: Duration,
    },
    /// Bytes went from or to a worker.
    Moved {
        /// Who.
        peer: Life,
        /// How many.
        bytes: u64,
        /// How long it took, one way.
        took: Duration,
    },
    /// The time of [`Action::WakeAt`](crate::Action::WakeAt) has come.
    Tick,
}
