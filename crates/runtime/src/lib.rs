//! A worker process: drives the pool and the store, so that tasks and their large results keep to a memory budget.
//!
//! * [`budget`]: obeys the policy of `store::spill`: which results leave memory, which tasks may run.
//! * [`machine`]: how much memory there is.
#![forbid(unsafe_code)]

pub mod budget;
pub mod machine;

pub use budget::{MemoryConfig, MemoryUsage, memory};
