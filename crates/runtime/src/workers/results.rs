//! Results of other workers' tasks that stay here, where they were made, until their owners need them no more.

use poniard_model::{TaskId, WorkerId};
use poniard_pool::AnyHandle;
use std::collections::HashMap;

/// Results of other workers' tasks, by owner and number. Each is a result of this process's too: it counts for the budget here, and may
/// be on disk.
#[derive(Debug, Default)]
pub(crate) struct Results(HashMap<(WorkerId, TaskId), AnyHandle>);

impl Results {
    /// The result stays here from now on.
    pub(crate) fn keep(&mut self, owner: WorkerId, task: TaskId, made: AnyHandle) {
        self.0.insert((owner, task), made);
    }

    /// What has made the result here.
    pub(crate) fn find(&self, owner: WorkerId, task: TaskId) -> Option<&AnyHandle> {
        self.0.get(&(owner, task))
    }

    /// The owner needs it no more.
    pub(crate) fn drop_one(&mut self, owner: WorkerId, task: TaskId) {
        self.0.remove(&(owner, task));
    }

    /// An owner is gone.
    pub(crate) fn lose(&mut self, owner: WorkerId) {
        self.0.retain(|(other, _), _| *other != owner);
    }

    /// Whether there is none but those of this one's tasks.
    pub(crate) fn are_all_of(&self, owner: WorkerId) -> bool {
        self.0.keys().all(|(other, _)| *other == owner)
    }
}
