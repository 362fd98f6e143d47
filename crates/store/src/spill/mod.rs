//! Out of core: which chunks leave memory, when, and the file that takes them.
//!
//! * [`Policy`] (`policy`, with `chunk`, `next_use`, `message`, `error`): decides, and does nothing itself.

mod chunk;
#[expect(dead_code, reason = "the file, which fails, is still to come")]
mod error;
mod message;
mod next_use;
mod policy;
#[cfg(test)]
mod sim;

pub use chunk::{ChunkId, Spill};
pub use error::Error;
pub use message::{Action, Event, Haste, Limits, Made, Why, Written};
pub use next_use::NextUse;
pub use policy::Policy;
