//! How a task stands now, for those who ask why it has not ended.

use super::{context, outside, processor_id};
use crate::edge::Ended;
use crate::task::extra::Extra;
use crate::task::handle::AnyHandle;
use poniard_model::ProcessorId;

/// How a task stood a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It has ended well.
    Done,
    /// It has failed.
    Failed,
    /// A region holds it back.
    Held,
    /// So many tasks that it reads, or runs after, and turns that it waits for have not ended.
    Waits {
        /// How many; at least 1.
        inputs: u32,
    },
    /// It can run, and waits for a processor.
    Ready,
    /// It runs.
    Runs {
        /// The processor that it holds; `None` while it waits in the middle, or when it needs none.
        on: Option<ProcessorId>,
    },
    /// It is with another process, or about to go there.
    Away,
    /// It was begun, and something outside is to go on with it: a future, memory that has to become free, the pause before its next
    /// attempt.
    Outside,
}

impl AnyHandle {
    /// How the task stands now.
    pub fn standing(&self) -> Standing {
        let task = self.task();
        match task.dependents.ended() {
            Some(Ended::Done) => return Standing::Done,
            Some(Ended::Failed) => return Standing::Failed,
            None => {}
        }
        if task.gate.is_held() {
            return Standing::Held;
        }
        let id = task.id();
        if task.gate.is_ready() {
            return Standing::Ready;
        }
        let runs_there = |context: &&context::Context| context.seen().is_some_and(|seen| seen.task == id);
        if let Some(context) = context::all().into_iter().find(runs_there) {
            return Standing::Runs { on: context.processor().map(processor_id) };
        }
        match task.gate.missing() {
            _ if outside::is_shown(id) && task.extra().is_some_and(Extra::is_away) => Standing::Away,
            Some(inputs) if !outside::is_shown(id) => Standing::Waits { inputs },
            _ => Standing::Outside,
        }
    }
}
