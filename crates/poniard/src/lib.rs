//! Tasks with dependencies: Dagger.jl's model of computing in Rust.
//!
//! A program spawns ordinary function calls as tasks, and hands the handles of tasks to other tasks. A task runs as soon as
//! the tasks that it depends on have ended, on whichever processor is free.
//!
//! ```
//! use poniard::prelude::*;
//!
//! fn add1(x: i64) -> i64 { x + 1 }
//! fn add2(x: &i64) -> i64 { x + 2 }
//! fn combine(xs: &[&i64]) -> i64 { xs.iter().copied().sum() }
//!
//! # fn main() -> poniard::Result<()> {
//! let p = spawn!(add1(4));
//! let q = spawn!(add2(&p)); // the function sees the result by reference
//! let r = spawn!(add1(3));
//! let s = spawn!(combine(&[p, q, r])); // n inputs
//! assert_eq!(s.fetch()?, 16);
//! # Ok(())
//! # }
//! ```
//!
//! * [`spawn!`] and [`DTask`]: tasks and their handles.
//! * [`Options`], [`with_options`], [`Scope`]: where, when and how tasks run.
//! * [`sync`], [`spawn_bulk`], [`spawn_sequential`]: regions, which join, hold back or order what is spawned in them.
//! * [`wait_any`], [`wait_all`], [`fetch_all`], [`as_completed`], [`map`]: many tasks at once.
//! * [`lazy!`], [`delayed`]: graphs that run when they are asked for.
//! * [`File`], [`to_file`], [`Format`]: files that are read when a task needs them.
//! * [`mutable!`], [`shard!`]: data that tasks change in place.
//! * [`status`], [`halt`], [`cancelled`], [`current_task`]: looking and acting from inside.
//! * [`put`] and [`Chunk`]: values that stay where they are, in memory or on disk; [`Tile`], [`Blob`]: without copies.
//! * [`Cluster`]: how many threads, which labels.
//!
//! The crate's `README.md` is the whole surface on one page.
#![forbid(unsafe_code)]

extern crate self as poniard;

mod args;
#[cfg(feature = "async")]
mod asynchronous;
mod awaiting;
#[cfg(any(feature = "async", feature = "object-store"))]
mod background;
mod call;
pub mod checkpoints;
mod chunk;
mod cluster;
mod context;
mod disk;
mod file;
mod function;
mod keywords;
mod lazy;
mod many;
mod mutable;
mod on;
mod options;
mod passenger;
mod place;
pub mod prelude;
mod reach;
mod refers;
mod region;
mod shard;
#[cfg(feature = "signal")]
mod signal;
mod task;
pub mod trace;

pub use awaiting::TaskFuture;
pub use checkpoints::Checkpoint;
pub use chunk::{Chunk, put};
pub use cluster::{Cluster, ClusterStatus, LocalCluster, Memory, memory_usage, workers};
pub use context::{
    CurrentTask, cancelled, check_cancelled, current_processor, current_task, halt, my_id, status,
};
pub use disk::{
    Binary, ByPath, ByReader, FileError, Format, Functions, Reason, Source, Target, by_path, by_reader,
};
#[cfg(feature = "json")]
pub use file::Json;
#[cfg(feature = "object-store")]
pub use file::to_file_in;
#[cfg(feature = "arrow")]
pub use file::{ArrowIpc, ArrowStream, Parquet, Table};
#[cfg(feature = "csv")]
pub use file::{Csv, Separated};
pub use file::{File, Npy, Raw, RawTile, to_file, to_file_with};
pub use function::{spawn, spawn_with};
pub use lazy::{Delayed, Lazy, SchedulerOptions, delayed, delayed_with};
pub use many::{AsCompleted, as_completed, fetch_all, map, wait_all, wait_any};
pub use mutable::Mutable;
pub use on::on;
pub use options::{After, Options};
pub use poniard_macros::{lazy, mutable, shard, spawn, task};
pub use poniard_model::scope::Narrow;
pub use poniard_model::{
    ChunkId, Data, FailedTask, Occupancy, Pinned, ProcessorId, Retries, Scope, Site, Storage, TaskError,
    TaskId, WorkerId,
};
pub use poniard_pool::{Running, Status};
pub use poniard_runtime::{MemoryUsage, Traffic, traffic};
pub use poniard_runtime::{TaskCounts, WorkerMemory, WorkerStatus};
pub use poniard_store::spill::Why as MemoryError;
pub use poniard_store::{Arena, Blob, Buf, BufMut, DType, Elem, Order, Tile, TileError};
pub use region::{spawn_bulk, spawn_sequential, sync, with_options};
pub use shard::{Mapped, Shard};
pub use task::{AnyTask, DTask, Ref};

/// What a program of tasks returns: the error is the one that `fetch` gives.
pub type Result<T, E = TaskError> = std::result::Result<T, E>;

/// The pages of the project, compiled and run with the doc tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    pub struct Surface;
    #[doc = include_str!("../../../README.md")]
    pub struct Project;
}

/// What the macros write. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::args::{BorrowedKind, HandleKind, PlainKind, Wrap};
    pub use crate::call::{Call, FailsTask, Fallible, tried};
    pub use crate::mutable::MutableSpec;
    pub use crate::shard::ShardSpec;
    pub use poniard_model::{Cause, Site};
    pub use poniard_pool::Value;

    /// For a `*` that brings nothing else along.
    pub mod plain_function {
        pub use crate::keywords::__Keywords;
    }
}
