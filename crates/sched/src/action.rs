//! What is to be done.

use crate::failure::Failure;
use crate::life::Life;
use crate::message::{Ending, Message, Order, Sending};
use poniard_model::{TaskId, WorkerId};
use std::time::Duration;

/// What the runtime is to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send the message; with a `Run`, the functions and arguments of its tasks.
    Send {
        /// To whom. To one that is gone by now, nothing is sent.
        to: Life,
        /// What.
        message: Message,
    },
    /// Put a foreign task into the pool of this process.
    Start {
        /// Whose.
        owner: WorkerId,
        /// What.
        order: Order,
    },
    /// Put one of our tasks into the pool of this process, and tell of its end.
    RunHere {
        /// Which.
        task: TaskId,
        /// How often it has been started, this time included.
        attempt: u32,
    },
    /// Put offered tasks back to the cold end of the pool, coldest first, and tell nothing more of them.
    GiveBack(Vec<TaskId>),
    /// Take tasks out of the pool of this process for those who are idle.
    Take(Take),
    /// Take those of these tasks out of the pool that have not started, and say which.
    Withdraw {
        /// Whose.
        owner: WorkerId,
        /// Which.
        tasks: Vec<TaskId>,
    },
    /// Nobody wants a task any more that was put into the pool: drop it if it has not started, else tell it to stop. Of a task of
    /// another owner tell when that has come to its end ([`Event::Stopped`](crate::Event::Stopped)).
    Stop {
        /// Whose.
        owner: WorkerId,
        /// Which.
        task: TaskId,
    },
    /// A task of another owner was told to stop long ago, and its end was not told: say whether it keeps a processor
    /// ([`Event::Stuck`](crate::Event::Stuck)).
    Look {
        /// Whose.
        owner: WorkerId,
        /// Which.
        sending: Sending,
    },
    /// A task that was cancelled does not return, and keeps a processor of this process: have it ended, and another one started in its
    /// place. All others have heard of it, or do not answer. Once.
    Perish,
    /// One of our tasks has ended: complete its promise, dependents and waiters. Once for each task.
    Complete {
        /// Which.
        task: TaskId,
        /// How.
        ending: Ending,
        /// Where.
        on: Life,
        /// The attempt that ended.
        attempt: u32,
    },
    /// One of our tasks cannot be run: the end of its promise. Once for each task, instead of `Complete`.
    Fail {
        /// Which.
        task: TaskId,
        /// Why.
        why: Failure,
    },
    /// A result that was missing here is there.
    Located {
        /// Whose.
        owner: WorkerId,
        /// The task that made it.
        result: TaskId,
        /// Who has a copy.
        at: Vec<Life>,
    },
    /// A result that was missing here is lost for good.
    Unobtainable {
        /// Whose.
        owner: WorkerId,
        /// The task that made it.
        result: TaskId,
    },
    /// A result that was made again only for other results has served: free it.
    Free(TaskId),
    /// A task will not be run again, whatever happens: forget its function and arguments.
    Forget(TaskId),
    /// This process, which leaves, has nothing of others any more, and nothing will come: it may end when its own tasks have. Once.
    Depart,
    /// Tell [`Event::Tick`](crate::Event::Tick) then; in place of any earlier such wish.
    WakeAt(Duration),
}

/// Which tasks are to be taken out of the pool of this process: those that could go to one of `to`, from the cold end.
///
/// The runtime answers at once with [`Event::Offered`](crate::Event::Offered), and if that was empty once more as soon as there
/// is something. A later one takes this one's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// Who is idle. Empty: nobody any more, and nothing is to be taken.
    pub to: Vec<WorkerId>,
    /// Their idle processors.
    pub theirs: u32,
    /// Processors of this process.
    pub ours: u32,
    /// Never more than this.
    pub at_most: u64,
}

impl Take {
    /// How many of so many movable ready tasks are to be taken: as large a part as the idle processors are of all, rounded up.
    ///
    /// Half of the queue for one idle processor at one busy one: a thief that takes half balances in logarithmically many steps
    /// (Hendler & Shavit, "Non-blocking steal-half work queues", 2002).
    pub fn amount(&self, movable: u64) -> u64 {
        if self.to.is_empty() {
            return 0;
        }
        let (theirs, all) = (u128::from(self.theirs), u128::from(self.theirs) + u128::from(self.ours));
        let share = (u128::from(movable) * theirs).div_ceil(all.max(1));
        u64::try_from(share).unwrap_or(u64::MAX).min(self.at_most).min(movable)
    }
}
