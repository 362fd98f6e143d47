//! Tasks that wait for memory, and of whose results it is not known yet how large they will be.

use poniard_model::{Site, TaskId};
use std::collections::{BTreeSet, HashMap};

/// The tasks, by where they were spawned: those from one place make results of one size.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    /// The address of the site, and the task.
    by_site: BTreeSet<(usize, TaskId)>,
    sites: HashMap<TaskId, usize>,
}

impl Unknown {
    pub(super) fn insert(&mut self, task: TaskId, site: &'static Site) {
        let site = std::ptr::from_ref(site).addr();
        self.by_site.insert((site, task));
        self.sites.insert(task, site);
    }

    /// The task has ended.
    pub(super) fn forget(&mut self, task: TaskId) {
        if let Some(site) = self.sites.remove(&task) {
            self.by_site.remove(&(site, task));
        }
    }

    /// Takes all from this place: it is known now.
    pub(super) fn take(&mut self, site: &'static Site) -> Vec<TaskId> {
        let site = std::ptr::from_ref(site).addr();
        let range = (site, TaskId(0))..=(site, TaskId(u64::MAX));
        let tasks: Vec<TaskId> = self.by_site.range(range).map(|(_, task)| *task).collect();
        tasks.iter().for_each(|task| self.forget(*task));
        tasks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_of_one_place_are_taken_together_and_those_that_ended_are_not() {
        static HERE: Site = Site::new("f", "a.rs", 1);
        static THERE: Site = Site::new("g", "a.rs", 2);
        let mut unknown = Unknown::default();
        for (task, site) in [(1, &HERE), (2, &THERE), (3, &HERE), (4, &HERE)] {
            unknown.insert(TaskId(task), site);
        }
        unknown.forget(TaskId(3));
        assert_eq!(unknown.take(&HERE), [TaskId(1), TaskId(4)]);
        assert_eq!(unknown.take(&HERE), []);
        assert_eq!(unknown.take(&THERE), [TaskId(2)]);
        assert!(unknown.sites.is_empty() && unknown.by_site.is_empty());
    }
}
