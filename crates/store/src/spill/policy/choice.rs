//! Which of several ready tasks should run first.

use super::{Policy, State, TaskId};
use std::cmp::Reverse;

impl Policy {
    /// The task among `ready` that is best for memory: depth first.
    ///
    /// In order: the one whose inputs are all in memory; the one whose end frees most, beyond what it makes; the one
    /// that uses most of what is in memory; the one that needs least from the disk; the one submitted first.
    pub fn first_to_run(&self, ready: &[TaskId]) -> Option<TaskId> {
        ready.iter().copied().filter(|task| self.tasks.contains_key(task)).min_by_key(|id| self.rank(*id))
    }

    fn rank(&self, id: TaskId) -> (bool, Reverse<i128>, Reverse<u64>, u64, TaskId) {
        let task = &self.tasks[&id];
        let (mut freed, mut at_hand, mut missing) = (0, 0, 0);
        for input in &task.inputs {
            let chunk = &self.chunks[input];
            match chunk.state {
                State::Unmade | State::OnDisk { .. } | State::Gone | State::Remaking { .. } => {
                    missing += chunk.bytes
                }
                _ => at_hand += chunk.bytes,
            }
            if chunk.is_released && chunk.uses.is_only(id) {
                freed += chunk.bytes;
            }
        }
        let gain = i128::from(freed) - i128::from(task.result);
        (missing > 0, Reverse(gain), Reverse(at_hand), missing, id)
    }
}
