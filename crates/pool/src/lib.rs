//! Tasks in this process: the task object, its dependents, deques, parking, and waiting inside tasks.
//!
//! * `gate`, `edge`, `task`: the task object and its two atomic words. `README.md` has the protocol and its proof.
//! * `memory`: free lists of task blocks.
//! * `turns`: who may use a datum that tasks change in place, and who comes next.
//! * `deque`, `seats`: where ready tasks lie, and who finds them.
//! * `board`, `ready`: ready tasks with a priority, a scope or a share, and which of them starts next.
//! * `crew`, `bell`, `fences`: processors, threads, and how they sleep and wake.
//! * `me`: which worker this process is.
//! * `image`: where code lies, for other processes of the same build.
//! * `epoch`: which tasks a halt has ended.
//! * `engine`: puts these to work: spawn, run, finish, wait, cancel, halt.
//! * `border`, `abroad`: handles that cross to other processes.
//! * `spawn`, `borrow`: tasks, and turns at data without a task.
//!
//! This is one of the two crates with `unsafe`; what it exports is safe, except to implement [`Arg`].
#![cfg_attr(loom, allow(dead_code, unused_imports))]

mod abroad;
mod bell;
mod board;
mod border;
mod borrow;
mod crew;
mod deque;
mod edge;
mod engine;
mod epoch;
mod fences;
mod gate;
pub mod image;
mod me;
mod memory;
mod panics;
mod ready;
mod seats;
mod spawn;
mod sync;
mod task;
mod timer;
mod turns;

/// Tasks that run in another process, and those that come from one.
pub mod travel {
    pub use crate::abroad::{Stranger, ask_all_of, forget_strangers, origin_of};
    pub use crate::border::{Border, Ender, Origin};
    pub use crate::engine::away::{Away, Carrier, set_carrier};
    pub use crate::engine::guest::{Outcome, Reply, Visit, host};
    pub use crate::engine::handle::find_remote;
    pub use crate::engine::lend::{Crossing, lend_large, ready, take, tell_idle, want_work};
    pub use crate::task::foreign::{lose_data, lose_datum};
    pub use crate::task::parcel::{Entry, Parcel, Piece, Unmovable};
    pub use crate::task::passage::{DatumStranger, DatumTraveller, Whereabouts};
    pub use crate::task::promised::Absent;
    pub use crate::task::traveller::{Told, Traveller};
    pub use crate::task::watch::Wakes;
}

/// Large results, which a budget may send to disk, and the tasks that read or make them.
pub mod kept {
    pub use crate::engine::admission::{Paused, admit, await_room, refuse};
    pub use crate::engine::again::remake;
    pub use crate::task::kept::{
        Contents, Held, KEPT_BYTES_MIN, Keeper, Made, Remade, Wish, contents, evict, free, restore,
        set_keeper,
    };
}

#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, not(loom)))]
mod tests;

pub use engine::context::current_task as current;
pub use engine::find::{Found, find};
pub use engine::halt::halt;
pub use engine::handle::{Bringing, Shared};
pub use engine::overdue::{Overdue, overdue};
pub use engine::promise::{Completion, Starter, promise};
pub use engine::standing::Standing;
pub use engine::status::{Running, Status, status};
pub use engine::wait::{Holding, WaitError};
pub use engine::{Config, Runs, set_default, start, stop};
pub use me::{me, set_me};
pub use panics::{caught, cause as panic_cause};
pub use spawn::{Held, hold, hold_detached, put, spawn, spawn_detached, spawn_with};
pub use task::Function;
#[doc(hidden)]
pub use task::access::AccessTo;
pub use task::access::{Access, Lent, Lives, Read, Write, are_placed, lives_of};
pub use task::arg::{Arg, Dep, Many, Own, Value, Wiring, inputs_of};
pub use task::closure::{Calls, Code, Local, has_captures};
pub use task::datum::{AnyDatum, Datum};
pub use task::extra::{Demand, Extra, WHOLE};
pub use task::handle::{AnyHandle, Handle};
pub use task::hold::{Hold, HoldMany};
pub use task::opened::Opened;
pub use task::told::{Part, Told};
pub use task::weak::WeakHandle;
#[doc(hidden)]
pub use task::{Header, TaskRef};
