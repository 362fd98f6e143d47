//! When a worker is gone: its tasks run again, and what was lost with it is made again if somebody needs it.

use super::Scheduler;
use crate::action::Action;
use crate::failure::Failure;
use crate::life::{Death, Life};
use crate::task::State;
use poniard_model::{TaskId, planted};
use std::time::Duration;

/// A task fails when so many workers have died while they had it. Lives count, not numbers: a worker that is replaced under its old
/// number is another one to die.
const DEATHS_MAX: usize = 3;

impl Scheduler {
    /// A worker is gone for good. What comes of that life later is dropped.
    pub(super) fn on_gone(&mut self, now: Duration, life: Life, signal: Option<i32>, out: &mut Vec<Action>) {
        if self.peers.get(&life.worker).is_none_or(|peer| peer.life != life) {
            self.counters.stale_messages += 1;
            return;
        }
        let peer = self.peers.remove(&life.worker).expect("just seen");
        let how =
            signal.map_or_else(|| "was lost".to_owned(), |signal| format!("was killed by signal {signal}"));
        self.places.leave(life.worker, &how);
        self.unparted.remove(&life.worker);
        self.estimates.forget(life.worker);
        for id in peer.results {
            self.lose_copy(id, life.worker, out);
        }
        self.stop_tasks_of(life.worker, out);
        self.give_up_needs_of(life.worker, out);
        // All of them are off the books before the first is placed again: those that are left share them out.
        let orphans: Vec<TaskId> = peer.sent.into_values().collect();
        let death = Death { of: life, signal };
        orphans.iter().for_each(|id| match peer.is_perishing && !planted!(perished_blamed) {
            true => self.orphan_of_none(*id),
            false => self.orphan(*id, death),
        });
        for id in orphans {
            self.run_again(now, id, out);
        }
        self.retry_homeless(now, out);
        self.serve(now, out);
    }

    /// A task was with a worker that died: how much of that is held against it.
    ///
    /// At its first death nobody here knows which tasks ran and which were queued, and it counts against all of them. From then on the
    /// executor says when the task starts, and a death counts if it had; if that is not known, for the word may have died too, the task
    /// is in doubt. Who has two deaths or is in doubt is quarantined: it goes where no other such task of ours is, and a death there
    /// counts. So who is blamed was there at the first death, ran at the second, and was the only suspect at the third.
    fn orphan(&mut self, id: TaskId, death: Death) {
        let task = self.tasks.get_mut(&id).expect("who was sent is in the table");
        let State::Away(away) = &task.state else { unreachable!("who was sent is away") };
        let counts = away.is_started || !away.is_watched || task.is_suspect();
        task.attempt += 1;
        if counts && !planted!(killer_never_blamed) {
            task.deaths.push(death);
        }
        task.is_in_doubt |= !counts;
        task.state = State::Waiting { missing: 0 };
    }

    /// A task was with a worker that was ended for another one's sake: that says nothing of it.
    fn orphan_of_none(&mut self, id: TaskId) {
        let task = self.tasks.get_mut(&id).expect("who was sent is in the table");
        task.attempt += 1;
        task.state = State::Waiting { missing: 0 };
    }

    fn run_again(&mut self, now: Duration, id: TaskId, out: &mut Vec<Action>) {
        // An earlier one of the orphans may have failed, and this one with it.
        let Some(task) = self.tasks.get(&id).filter(|task| task.is_unfinished()) else { return };
        if task.deaths.len() >= DEATHS_MAX {
            self.counters.killers += 1;
            let why = Failure::WorkerLost { deaths: task.deaths.clone() };
            return self.fail(now, id, why, out);
        }
        self.counters.run_again += 1;
        if !planted!(lost_not_rerun) {
            self.start(now, id, out);
        }
    }

    /// Has a lost result made again.
    pub(super) fn make_again(&mut self, now: Duration, id: TaskId, out: &mut Vec<Action>) {
        if matches!(self.tasks[&id].state, State::Lost) {
            self.begin_again(id);
            self.start(now, id, out);
        }
    }

    /// Places a task, but first has what it reads made again, as far as that is lost: depth first, for a path of results needs less
    /// memory than a level of them. A loop and not a recursion: a chain may be as long as memory allows.
    pub(super) fn start(&mut self, now: Duration, id: TaskId, out: &mut Vec<Action>) {
        self.start_alone(now, id, out);
        self.free_awaited(now, out);
    }

    /// As [`start`](Self::start), but for those who are quarantined and waited for from now on.
    pub(super) fn start_alone(&mut self, now: Duration, id: TaskId, out: &mut Vec<Action>) {
        if self.tasks[&id].spec.reads().next().is_none() {
            return self.place(now, id, out);
        }
        let (mut left, mut ready, mut broken) = (vec![id], Vec::new(), Vec::new());
        while let Some(id) = left.pop() {
            match self.hang_on_inputs(id, &mut left) {
                Ok(0) => ready.push(id),
                Ok(missing) => self.set_state(id, State::Waiting { missing }),
                Err(input) => broken.push((id, input)),
            }
        }
        for id in ready {
            // Else it failed with one before it.
            if self.tasks.get(&id).is_some_and(|task| task.state == State::Waiting { missing: 0 }) {
                self.place(now, id, out);
            }
        }
        for (id, input) in broken {
            self.fail(now, id, Failure::InputLost { input }, out);
        }
    }

    /// Hangs a task on those of its inputs that are to be made again; adds to `left` those among them for which nobody had done that.
    /// Gives how many there are, or one that cannot be made again.
    fn hang_on_inputs(&mut self, id: TaskId, left: &mut Vec<TaskId>) -> Result<u32, TaskId> {
        let inputs: Vec<TaskId> = self.tasks[&id].spec.reads().collect();
        let mut missing = 0;
        for input in inputs {
            // What has no entry never left this process.
            let Some(task) = self.tasks.get_mut(&input) else { continue };
            match task.state {
                State::Made { .. } => continue,
                State::Forgotten => return Err(input),
                State::Lost => {
                    self.begin_again(input);
                    left.push(input);
                }
                _ => {}
            }
            let task = self.tasks.get_mut(&input).expect("just seen");
            task.dependents.push(id);
            missing += 1;
        }
        Ok(missing)
    }

    /// A lost result is to be made again: its task has not ended any more.
    fn begin_again(&mut self, id: TaskId) {
        self.lineage.remove(&id);
        self.counters.made_again += 1;
        let task = self.tasks.get_mut(&id).expect("just seen");
        task.attempt += 1;
        task.state = State::Waiting { missing: 0 };
        let inputs: Vec<TaskId> = task.spec.reads().collect();
        for input in inputs {
            if let Some(input) = self.tasks.get_mut(&input) {
                input.unfinished_uses += 1;
            }
        }
    }

    /// A task cannot be run: the end of it, and of those that wait for its result to be made again.
    pub(super) fn fail(&mut self, now: Duration, id: TaskId, why: Failure, out: &mut Vec<Action>) {
        let mut left = vec![(id, why)];
        let mut was_suspect = false;
        while let Some((id, why)) = left.pop() {
            let Some(task) = self.tasks.get_mut(&id).filter(|task| task.is_unfinished()) else { continue };
            if !task.is_settled {
                task.is_settled = true;
                out.push(Action::Fail { task: id, why });
            }
            was_suspect |= self.leave_state(id);
            let dependents = self.lose_for_good(id, out);
            left.extend(
                dependents.into_iter().map(|dependent| (dependent, Failure::InputLost { input: id })),
            );
        }
        if was_suspect {
            self.retry_quarantined(now, out);
        }
    }

    /// A task has ended without a result: those that wait for it to be made again cannot be run.
    pub(super) fn end_in_vain(&mut self, now: Duration, id: TaskId, out: &mut Vec<Action>) {
        for dependent in self.lose_for_good(id, out) {
            self.fail(now, dependent, Failure::InputLost { input: id }, out);
        }
    }

    /// Takes a task that has not ended out of wherever it waits. True when it was a suspect that kept others waiting.
    pub(super) fn leave_state(&mut self, id: TaskId) -> bool {
        let is_suspect = self.tasks[&id].is_suspect();
        let away = self.undo_dispatch(id);
        if let State::Homeless { since } = self.tasks[&id].state {
            self.homeless.remove(&(since, id));
        }
        self.quarantined.remove(&id);
        self.set_state(id, State::Waiting { missing: 0 });
        away.is_some() && is_suspect
    }
}
