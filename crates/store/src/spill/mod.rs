//! Out of core: which chunks leave memory, when, and the file that takes them.
//!
//! * [`Policy`] (`policy`, with `chunk`, `next_use`, `message`): decides, and does nothing itself.
//! * [`SpillFile`] (`file`, with `layout`, `extents`, `place`, `scratch`, `disk`, `folder`): bytes on disk, checked.
//! * [`Writer`]: the threads that move chunks between the two.

mod chunk;
mod disk;
mod error;
mod extents;
mod file;
mod folder;
mod layout;
mod message;
mod next_use;
mod place;
mod policy;
mod scratch;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
mod writer;

pub use chunk::{ChunkId, Spill};
pub use error::Error;
pub use file::{FileOptions, Naming, SpillFile, Stored};
pub use folder::{check as check_folder, sweep};
pub use message::{Action, Event, Haste, Limits, Made, Remade, Why, Written};
pub use next_use::NextUse;
pub use policy::{Lane, Policy};
pub use writer::{Completion, Outcome, Parts, PartsMut, Refusal, Refused, Traffic, Transfer, Writer};
