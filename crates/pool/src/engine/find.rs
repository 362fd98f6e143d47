//! Tasks by their number, for whoever has read one in an error or a log and asks what became of it.

use super::status::Running;
use super::{circles, context, outside, processor_id, running};
use crate::task::handle::AnyHandle;
use poniard_model::TaskId;

/// What is known of a number.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Found {
    /// The task.
    Task(AnyHandle),
    /// It runs here.
    Runs(Running),
    /// It has ended, or waits where only its handles lead: ready in a queue, or behind tasks that run or are ready there.
    OutOfSight,
    /// There has been no task of this number.
    Never,
}

/// Looks for a task of this process.
pub fn find(task: TaskId) -> Found {
    if !context::may_exist(task) {
        return Found::Never;
    }
    let queued = || {
        let engine = running()?;
        let injected = engine.injected().iter().find(|queued| queued.id() == task).cloned();
        injected.or_else(|| engine.board.find(task))
    };
    let seen = || {
        context::all().into_iter().find_map(|context| {
            let seen = context.seen().filter(|seen| seen.task == task)?;
            let on = context.processor().map(processor_id);
            Some(Running { task, name: seen.name, site: seen.site, on })
        })
    };
    // Last of all what is long: a walk through all that wait for others.
    if let Some(found) = outside::find(task).or_else(queued) {
        return Found::Task(AnyHandle::new(found));
    }
    if let Some(runs) = seen() {
        return Found::Runs(runs);
    }
    circles::find_below_outside(task).map_or(Found::OutOfSight, |found| Found::Task(AnyHandle::new(found)))
}
