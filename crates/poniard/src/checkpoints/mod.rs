//! Checkpoints: results that the next run finds again, instead of running their tasks.
//!
//! A task with the option `checkpoint = "name"` is known again by the name, its function, the type of its result and its
//! arguments. Values count by their bytes; results of other tasks by how they were made, where that is known before they
//! are there (by tasks with checkpoints, and by lazy tasks), else by their bytes. So a lazy graph is not run where a result
//! of it is found.
//!
//! * `key`: what a call is known by; `plan`: a task that is looked up before it runs, and kept after.
//! * `hooks`: functions of the user's in place of that; `shelf`: where results lie; `report`: failures, which stop nobody.

mod hooks;
mod key;
mod plan;
mod report;
mod shelf;

pub use hooks::Checkpoint;
pub(crate) use key::{Key, PartKey, of_call, part_keys};
pub(crate) use plan::{Keep, copy, noted, prepare};
pub(crate) use shelf::set_folder;
pub use shelf::{Kept, Stale, clean, list};
