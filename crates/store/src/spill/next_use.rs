//! When a chunk is needed next, as far as the submitted tasks tell.

use poniard_model::TaskId;
use std::collections::BTreeSet;

/// The next use of a chunk. Sooner is smaller: what nobody is known to need comes after every known use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum NextUse {
    /// This task is the first of those that will read it. Tasks are numbered as they are submitted.
    At(TaskId),
    /// No submitted task will read it.
    Unknown,
}

/// The submitted tasks that will read one chunk and have not ended, in order of submission.
///
/// A set, not a list: tasks end in any order, and one chunk may have a million readers.
#[derive(Debug, Default)]
pub(super) struct Uses(BTreeSet<TaskId>);

impl Uses {
    pub(super) fn add(&mut self, task: TaskId) {
        self.0.insert(task);
    }

    pub(super) fn remove(&mut self, task: TaskId) {
        self.0.remove(&task);
    }

    pub(super) fn next(&self) -> NextUse {
        self.0.first().map_or(NextUse::Unknown, |task| NextUse::At(*task))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `task` is the only one left.
    pub(super) fn is_only(&self, task: TaskId) -> bool {
        self.0.len() == 1 && self.0.contains(&task)
    }

    pub(super) fn contains(&self, task: TaskId) -> bool {
        self.0.contains(&task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_use_is_the_lowest_number_and_unknown_comes_after_all() {
        let mut uses = Uses::default();
        assert_eq!(uses.next(), NextUse::Unknown);
        for number in [7, 3, 9] {
            uses.add(TaskId(number));
        }
        assert_eq!(uses.next(), NextUse::At(TaskId(3)));
        uses.remove(TaskId(3));
        uses.remove(TaskId(9));
        assert!(uses.is_only(TaskId(7)) && !uses.is_only(TaskId(9)));
        assert!(NextUse::At(TaskId(u64::MAX)) < NextUse::Unknown);
    }
}
