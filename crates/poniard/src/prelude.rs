//! What most programs use: `use poniard::prelude::*`.

pub use crate::{
    Chunk, Cluster, DTask, Data, File, Mutable, Narrow, Options, Pinned, Retries, SchedulerOptions, Scope,
    Shard, TaskError, WorkerId, as_completed, cancelled, check_cancelled, current_processor, current_task,
    delayed, fetch_all, lazy, map, mutable, my_id, put, shard, spawn, spawn_bulk, spawn_sequential,
    spawn_with, sync, to_file, to_file_with, wait_all, wait_any, with_options, workers,
};
