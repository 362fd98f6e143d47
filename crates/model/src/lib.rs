//! The nouns that every part of Poniard speaks: ids, scopes, options, values and failures.
//!
//! Nothing here does IO, starts a thread or takes a lock, and nothing knows of a scheduler.
//!
//! * [`ids`]: who is who: tasks, workers, processors.
//! * [`site`]: where in the user's source a task was spawned.
//! * [`topology`]: the workers that exist, with their processors and labels.
//! * [`scope`]: where a task may run, and why nothing fits.
//! * [`options`]: what a user may ask for one task.
//! * [`value`] and [`codec`]: what may be an argument or a result, and how it is copied; below them `luggage` (what
//!   travels beside the bytes), `payload` (bytes inside a value), `plain` (vectors of numbers), `depth` (how far values may nest) and `footprint` (how much
//!   memory a value holds).
//! * `numbered`: maps by the numbers of tasks. `planted`: bugs that tests plant.
//! * [`failure`]: why a task has no result.
#![forbid(unsafe_code)]

pub mod codec;
mod depth;
pub mod failure;
mod footprint;
pub mod ids;
mod luggage;
mod numbered;
pub mod options;
mod payload;
mod plain;
mod planted;
pub mod scope;
pub mod site;
pub mod topology;
pub mod value;

pub use codec::{Codec, CodecError};
#[doc(hidden)]
pub use depth::stack_ends_at;
pub use failure::{Cause, CauseTold, FailedTask, RemoteError, TaskError};
pub use ids::{ChunkId, ProcessorId, TaskId, WorkerId};
pub use numbered::{ByOwner, Numbered};
pub use options::{Occupancy, Retries, Storage, TaskOptions};
pub use scope::{Narrow, Scope};
pub use site::Site;
pub use topology::{Processor, ProcessorKind, Topology, Worker};
pub use value::{Data, Pinned};
