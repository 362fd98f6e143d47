//! Tasks that were asked to stop and run on: nobody can make them return.

use super::status::Running;
use super::{context, processor_id};
use crate::task::handle::AnyHandle;
use poniard_model::TaskId;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When each was asked first.
static ASKED: Mutex<BTreeMap<TaskId, Instant>> = Mutex::new(BTreeMap::new());
/// So many are remembered before those are let go of that seem to have returned.
const ASKED_MAX: usize = 4096;

fn lock() -> MutexGuard<'static, BTreeMap<TaskId, Instant>> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task that was asked to stop, runs on, and keeps a processor, or a part of one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Overdue {
    /// It.
    pub running: Running,
    /// Since when it was asked.
    pub asked: Duration,
}

/// A task that has begun is asked to stop.
#[cold]
pub(crate) fn asked(task: TaskId) {
    let mut asked = lock();
    if asked.len() >= ASKED_MAX {
        // Those that were asked while they ended stay behind, and show themselves nowhere.
        let shown: Vec<TaskId> =
            context::all().iter().filter_map(|context| Some(context.seen()?.task)).collect();
        asked.retain(|task, _| shown.contains(task));
    }
    asked.entry(task).or_insert_with(Instant::now);
}

/// The body of a task that was asked has returned.
#[cold]
pub(crate) fn returned(task: TaskId) {
    lock().remove(&task);
}

/// Those that keep a processor, and were asked at least so long ago.
pub fn overdue(grace: Duration) -> Vec<Overdue> {
    let asked = lock();
    if asked.is_empty() {
        return Vec::new();
    }
    let of = |context: &&'static context::Context| {
        let seen = context.seen()?;
        let asked = asked.get(&seen.task)?.elapsed();
        let is_overdue = asked >= grace && context.keeps_processor();
        let on = context.home().map(processor_id);
        let running = Running { task: seen.task, name: seen.name, site: seen.site, on };
        is_overdue.then_some(Overdue { running, asked })
    };
    context::all().iter().filter_map(of).collect()
}

impl AnyHandle {
    /// Whether the task runs, and keeps a processor or a part of one: not while it waits in the middle, nor when it needs none.
    pub fn keeps_processor(&self) -> bool {
        let runs_there = |context: &&'static context::Context| {
            context.seen().is_some_and(|seen| seen.task == self.id()) && context.keeps_processor()
        };
        context::all().iter().any(runs_there)
    }

    /// How long ago the task was asked to stop, if it had begun then and runs.
    pub fn asked_to_stop(&self) -> Option<Duration> {
        lock().get(&self.id()).map(Instant::elapsed)
    }
}
