//! The acceptance tests. A test whose name begins with a row's id (`a10`, `b36`) shows that row of the list of
//! features; the others are named by the law that they keep.
//!
//! * [`alone`]: runs a test in a process of its own, with the threads that it asks for.
//! * [`signals`]: gates, meetings and peaks, so that tests wait for events and not for time.
//! * [`clock`]: time in ticks, for how long a schedule takes.
//! * The rest: one topic a file.
//!
//! Row B39 counts calls of the allocator, in a test binary of its own: `tests/allocations.rs`.
#![forbid(unsafe_code)]
// The tests write what users write.
#![allow(clippy::cloned_ref_to_slice_refs, clippy::ptr_arg, clippy::needless_question_mark)]

mod alone;
#[cfg(feature = "async")]
mod asynchronous;
mod bulk;
mod cancelling;
mod checkpoints;
mod circles;
mod clock;
mod closures;
mod control;
mod errors;
mod failing;
mod files;
mod folder;
mod formats;
mod futures;
mod handles;
mod keywords;
mod lazy;
mod many;
mod memory;
mod mutables;
mod nesting;
#[cfg(feature = "object-store")]
mod objects;
mod occupancy;
mod options;
mod panics;
mod priorities;
mod retries;
mod scopes;
mod shards;
mod signals;
mod spawning;
mod sync;
mod timeouts;
mod tracing;
mod turns;
mod waiting;
mod width;
