//! A region that waits for its tasks.

use super::{Caught, Form, Region, enter};
use poniard_model::TaskError;
use poniard_pool::AnyHandle;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

/// Tasks kept before those that have ended well are swept out for the first time.
const SWEEP_MIN: usize = 1024;

/// Calls `work`, and waits for every task that it spawns on this thread with `spawn!`, those in nested loops and
/// blocks included. Tasks of the function forms [`spawn`](crate::spawn()) and [`spawn_with`](crate::spawn_with) are not
/// waited for, nor are those that the tasks spawn themselves.
///
/// ```
/// use poniard::prelude::*;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// static RUNS: AtomicU32 = AtomicU32::new(0);
/// fn f(i: u32) -> u32 { RUNS.fetch_add(1, Ordering::Relaxed); i }
/// fn g(_: u32, _: &u32) { RUNS.fetch_add(1, Ordering::Relaxed); }
/// sync(|| {
///     for i in 0..20 {
///         let y = spawn!(f(i));
///         for j in 0..6 { spawn!(g(j, &y)); }
///     }
/// })?;
/// assert_eq!(RUNS.load(Ordering::Relaxed), 140);
/// # Ok::<(), TaskError>(())
/// ```
///
/// # Errors
/// That of the first task, in the order of spawning, that failed. All are waited for all the same.
///
/// # Panics
/// When `work` panics, with the same panic, after the tasks that were spawned until then have ended.
pub fn sync<R>(work: impl FnOnce() -> R) -> Result<R, TaskError> {
    let joined = Rc::new(Sync::default());
    let value = catch_unwind(AssertUnwindSafe(|| enter(joined.clone(), work)));
    let failure = joined.join();
    match (value, failure) {
        (Err(panic), _) => resume_unwind(panic),
        (Ok(_), Some(failure)) => Err(failure),
        (Ok(value), None) => Ok(value),
    }
}

#[derive(Default)]
struct Sync {
    spawned: RefCell<Spawned>,
}

#[derive(Default)]
struct Spawned {
    tasks: Vec<AnyHandle>,
    /// The number of tasks at which those that have ended are swept out again.
    sweep_at: usize,
    failure: Option<TaskError>,
}

impl Region for Sync {
    fn catch(&self, group: Vec<Caught>, outwards: &dyn Fn(Vec<Caught>)) {
        let joining =
            group.iter().filter(|caught| caught.form == Form::Macro).map(|caught| caught.held.handle());
        self.spawned.borrow_mut().add(joining);
        outwards(group);
    }
}

impl Spawned {
    fn add(&mut self, tasks: impl Iterator<Item = AnyHandle>) {
        self.tasks.extend(tasks);
        if self.tasks.len() >= self.sweep_at.max(SWEEP_MIN) {
            // Handles of tasks that have ended keep results alive that nobody wants.
            let failure = &mut self.failure;
            self.tasks.retain(|task| {
                if failure.is_none() {
                    *failure = task.error().cloned();
                }
                !task.is_ended()
            });
            self.sweep_at = self.tasks.len() * 2;
        }
    }
}

impl Sync {
    /// Waits for all; gives the first failure.
    fn join(&self) -> Option<TaskError> {
        let Spawned { tasks, mut failure, .. } = self.spawned.take();
        for task in tasks {
            let ended = task.join();
            failure = failure.or(ended.err());
        }
        failure
    }
}
