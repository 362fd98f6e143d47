//! What the runtime does now.

use super::{context, processor_id, running};
use poniard_model::{ProcessorId, Site, TaskId};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What the runtime does now. The numbers are read one after the other while tasks go on, so they fit together only
/// as far as nothing moves meanwhile.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Status {
    /// Tasks that wait for an input, or that are ended from outside.
    pub waiting: u64,
    /// Tasks that are ready and wait for a processor.
    pub ready: u64,
    /// Tasks that run, those included that wait in the middle for another.
    pub running: u64,
    /// Tasks that have ended well.
    pub done: u64,
    /// Tasks that have failed.
    pub failed: u64,
    /// What runs, by thread.
    pub tasks: Vec<Running>,
    /// How many processors there are.
    pub processors: u32,
    /// How many threads there are; most of them are parked.
    pub threads: usize,
}

/// A running task.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Running {
    /// The task.
    pub task: TaskId,
    /// Its name.
    pub name: Arc<str>,
    /// Its function and the place of its spawn.
    pub site: &'static Site,
    /// The processor that it holds; `None` while it waits in the middle, or when it needs none.
    pub on: Option<ProcessorId>,
}

/// What the runtime does now.
pub fn status() -> Status {
    let mut status = Status::default();
    let mut launched = 0;
    for context in context::all() {
        // What ended is counted before what was launched, so that the difference is never negative.
        status.done += context.counts.done.load(Relaxed);
        status.failed += context.counts.failed.load(Relaxed);
        if let Some(seen) = context.seen() {
            let on = context.processor().map(processor_id);
            status.tasks.push(Running { task: seen.task, name: seen.name, site: seen.site, on });
        }
    }
    for context in context::all() {
        launched += context.counts.launched.load(Relaxed);
    }
    if let Some(engine) = running() {
        let queued: usize = engine.seats.iter().map(|deque| deque.len()).sum();
        status.ready = (queued + engine.injected().len() + engine.board.len()) as u64;
        status.processors = engine.crew.len();
        status.threads = engine.crew.threads();
    }
    status.running = status.tasks.len() as u64;
    let accounted = status.done + status.failed + status.ready + status.running;
    status.waiting = u64::saturating_sub(launched, accounted);
    status
}
