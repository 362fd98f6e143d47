//! What the scheduler has to know of a task in order to send it somewhere.

use crate::estimate::FunctionKey;
use crate::life::Life;
use poniard_model::{Scope, TaskId, WorkerId};
use std::time::Duration;

/// What the scheduler has to know of a task. The rest (function, arguments, options) stays with the runtime, under the task's id.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The task, one of this process's own.
    pub task: TaskId,
    /// What it runs: tasks of one function are expected to take alike.
    pub function: FunctionKey,
    /// Where it may run, as its user wrote it.
    pub wishes: Wishes,
    /// The results that it reads.
    pub inputs: Vec<Input>,
    /// How long it runs, if its user says so.
    pub time: Option<Duration>,
}

/// Where a task may run, as its user wrote it. All of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wishes {
    /// The option `scope`.
    pub scope: Option<Scope>,
    /// The option `compute_scope`: it takes the place of `scope` when both are set.
    pub compute_scope: Option<Scope>,
    /// The option `result_scope`: the task runs where its result may be.
    pub result_scope: Option<Scope>,
    /// The option `single`.
    pub single: Option<WorkerId>,
}

/// A result that a task reads.
#[derive(Clone, Debug)]
pub struct Input {
    /// The task of this process whose result it is. `None` for a result that another process owns.
    pub result: Option<TaskId>,
    /// Its size.
    pub bytes: u64,
    /// The workers that have a copy. The scheduler's own knowledge wins for results of tasks that it has sent away.
    pub at: Vec<WorkerId>,
    /// Where it may go.
    pub reach: Reach,
}

/// Where a result may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To any worker.
    Anywhere,
    /// Nowhere: it is a mutable, a piece of a shard, or a value that cannot be sent. Its task comes to it, and when its worker
    /// is gone, so is it.
    Pinned(Life),
    /// To the workers of a scope: the `result_scope` of the task that made it.
    Within(Scope),
}

impl Spec {
    /// A task of this function that may run anywhere and reads nothing.
    pub fn new(task: TaskId, function: FunctionKey) -> Spec {
        Spec { task, function, wishes: Wishes::default(), inputs: Vec::new(), time: None }
    }

    /// Where the task may run: everything that must hold, met. `None` when nothing was asked.
    pub fn scope(&self) -> Option<Scope> {
        let wishes = &self.wishes;
        let compute = wishes.compute_scope.as_ref().or(wishes.scope.as_ref()).cloned();
        let single = wishes.single.map(Scope::worker);
        let reaches = self.inputs.iter().filter_map(|input| match &input.reach {
            Reach::Anywhere => None,
            Reach::Pinned(life) => Some(Scope::worker(life.worker)),
            Reach::Within(scope) => Some(scope.clone()),
        });
        let all = compute.into_iter().chain(single).chain(wishes.result_scope.clone()).chain(reaches);
        all.reduce(|left, right| left & right)
    }

    /// The tasks of this process whose results it reads.
    pub(crate) fn reads(&self) -> impl Iterator<Item = TaskId> {
        self.inputs.iter().filter_map(|input| input.result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_was_asked_must_hold_and_compute_scope_takes_the_place_of_scope() {
        let mut spec = Spec::new(TaskId(1), FunctionKey(1));
        assert_eq!(spec.scope(), None);
        spec.wishes.scope = Some(Scope::thread(0));
        spec.wishes.compute_scope = Some(Scope::label("big"));
        spec.wishes.result_scope = Some(Scope::node("a"));
        spec.wishes.single = Some(WorkerId(1));
        let reach = Reach::Pinned(Life { worker: WorkerId(2), incarnation: 0 });
        spec.inputs.push(Input { result: None, bytes: 8, at: vec![WorkerId(2)], reach });
        let scope = spec.scope().unwrap().to_string();
        assert_eq!(scope, "label big & worker 1 & node a & worker 2");
    }
}
