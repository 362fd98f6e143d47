//! Results of our tasks that were made elsewhere: accepted once, known by their holders, kept as specs while they may be needed.

use super::Scheduler;
use crate::action::Action;
use crate::estimate::Whence;
use crate::life::Life;
use crate::message::{Ending, Report, Rest, Sending};
use crate::task::State;
use poniard_model::{TaskId, WorkerId, planted};
use std::time::Duration;

/// Specs that are kept only because other results might have to be made again of theirs: some 100 MB of small tasks. The oldest go
/// first; what they would be needed for is lost with its last copy. (Ray caps its lineage for the same reason.)
pub(super) const LINEAGE_MAX: usize = 1 << 16;

impl Scheduler {
    /// An executor reports the end of one of our tasks.
    pub(super) fn on_done(&mut self, now: Duration, on: WorkerId, report: Report, out: &mut Vec<Action>) {
        let id = report.sending.task;
        let is_accepted = self.is_current(on, report.sending)
            || (planted!(late_result_accepted) && self.tasks.contains_key(&id));
        if !is_accepted {
            self.counters.late_reports += 1;
            return;
        }
        self.counters.ended_away += 1;
        let function = self.tasks[&id].spec.function;
        self.estimates.ran(function, report.kind, Whence::Away, report.ran);
        let is_suspect = self.leave_state(id);
        self.on_ended(now, id, on, report, out);
        if is_suspect {
            self.retry_quarantined(now, out);
        }
    }

    /// One of our tasks that was put into the pool of this process has ended.
    pub(super) fn on_finished_here(&mut self, now: Duration, report: Report, out: &mut Vec<Action>) {
        let id = report.sending.task;
        if self.tasks.get(&id).is_some_and(|task| matches!(task.state, State::Here { .. })) {
            self.on_ended(now, id, self.me(), report, out);
        }
    }

    fn on_ended(&mut self, now: Duration, id: TaskId, on: WorkerId, report: Report, out: &mut Vec<Action>) {
        let task = &self.tasks[&id];
        let (function, attempt) = (task.spec.function, task.attempt);
        let at = self.life_of(on).expect("who has ended a task is alive");
        self.settle(id, report.ending, at, attempt, out);
        match report.ending {
            Ending::Made { bytes, rest } => {
                self.estimates.made(function, report.kind, bytes);
                let holder = if rest == Rest::Rides { self.me() } else { on };
                self.on_made(now, id, holder, out);
            }
            Ending::Failed | Ending::Cancelled => self.end_in_vain(now, id, out),
        }
    }

    /// Completes the promise of a task, once.
    pub(super) fn settle(
        &mut self,
        id: TaskId,
        ending: Ending,
        on: Life,
        attempt: u32,
        out: &mut Vec<Action>,
    ) {
        let task = self.tasks.get_mut(&id).expect("a task that ends is in the table");
        if !task.is_settled || planted!(late_result_accepted) {
            task.is_settled = true;
            out.push(Action::Complete { task: id, ending, on, attempt });
        }
    }

    /// The result is there, for the first time or again.
    fn on_made(&mut self, now: Duration, id: TaskId, holder: WorkerId, out: &mut Vec<Action>) {
        let at = self.life_of(holder).expect("who has made a result is alive");
        self.set_state(id, State::Made { holders: vec![holder] });
        if let Some(peer) = self.peers.get_mut(&holder) {
            peer.results.insert(id);
        }
        let task = self.tasks.get_mut(&id).expect("just seen");
        let (dependents, askers) = (std::mem::take(&mut task.dependents), std::mem::take(&mut task.askers));
        for asker in askers {
            self.answer(id, asker, vec![at], out);
        }
        self.end_uses_of(id, out);
        for dependent in dependents {
            self.on_input_made(now, dependent, out);
        }
        self.free_if_served(id, out);
    }

    /// One result less that a task waits for.
    fn on_input_made(&mut self, now: Duration, id: TaskId, out: &mut Vec<Action>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if let State::Waiting { missing } = &mut task.state {
            *missing = missing.saturating_sub(1);
            if *missing == 0 {
                self.start(now, id, out);
            }
        }
    }

    /// A task of ours has ended: what was made again only for it has served.
    pub(super) fn end_uses_of(&mut self, id: TaskId, out: &mut Vec<Action>) {
        let inputs: Vec<TaskId> = self.tasks[&id].spec.reads().collect();
        for input in inputs {
            if let Some(task) = self.tasks.get_mut(&input) {
                task.unfinished_uses -= 1;
                self.free_if_served(input, out);
            }
        }
    }

    /// Frees a result that nobody has a handle of and no task of ours is going to read.
    fn free_if_served(&mut self, id: TaskId, out: &mut Vec<Action>) {
        // When the last one that waited for it could not be run, it is forgotten already.
        let Some(task) = self.tasks.get(&id) else { return };
        let is_made = matches!(task.state, State::Made { .. });
        if is_made && !task.is_wanted && task.unfinished_uses == 0 {
            out.push(Action::Free(id));
            self.drop_copies(id);
            self.keep_as_lineage(id, out);
        }
    }

    /// Nobody has a handle of the result any more: its copies are freed by whoever counts them.
    pub(super) fn on_released(&mut self, id: TaskId, out: &mut Vec<Action>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        task.is_wanted = false;
        if matches!(task.state, State::Made { .. }) {
            self.drop_copies(id);
        }
        if !self.tasks[&id].is_unfinished() {
            self.keep_as_lineage(id, out);
        }
    }

    pub(super) fn drop_copies(&mut self, id: TaskId) {
        let task = self.tasks.get_mut(&id).expect("just seen");
        if let State::Made { holders } = std::mem::replace(&mut task.state, State::Lost) {
            for holder in holders {
                if let Some(peer) = self.peers.get_mut(&holder) {
                    peer.results.remove(&id);
                }
            }
        }
    }

    /// Keeps the spec of a result without copies for as long as others might have to be made of it again.
    fn keep_as_lineage(&mut self, id: TaskId, out: &mut Vec<Action>) {
        if self.tasks[&id].is_over() {
            self.forget(id, out);
            return;
        }
        if matches!(self.tasks[&id].state, State::Lost) {
            self.lineage.insert(id);
        }
        if self.lineage.len() > LINEAGE_MAX {
            let oldest = self.lineage.pop_first().expect("there are more than none");
            self.counters.forgotten += 1;
            self.set_state(oldest, State::Forgotten);
            self.let_go_of_spec(oldest, out);
        }
    }

    /// Takes a task out of the table, and with it those that were kept only for it.
    pub(super) fn forget(&mut self, id: TaskId, out: &mut Vec<Action>) {
        let (mut left, mut next) = (Vec::new(), Some(id));
        while let Some(id) = next.take().or_else(|| left.pop()) {
            self.lineage.remove(&id);
            let task = self.tasks.remove(&id).expect("a task is forgotten once");
            // One that was forgotten for want of room has let go of its spec before.
            if task.state != State::Forgotten {
                out.push(Action::Forget(id));
            }
            let is_unfinished = task.is_unfinished();
            for input in task.spec.reads() {
                left.extend(self.let_go_of_input(input, is_unfinished));
            }
        }
    }

    /// Forgets what a task was made of, but not the task.
    fn let_go_of_spec(&mut self, id: TaskId, out: &mut Vec<Action>) {
        out.push(Action::Forget(id));
        let task = self.tasks.get_mut(&id).expect("just seen");
        let inputs = std::mem::take(&mut task.spec.inputs);
        let over: Vec<TaskId> = inputs
            .iter()
            .filter_map(|input| input.result)
            .filter_map(|input| self.let_go_of_input(input, false))
            .collect();
        over.into_iter().for_each(|input| self.forget(input, out));
    }

    /// One reader less. Gives the input back when nothing needs it any more.
    fn let_go_of_input(&mut self, input: TaskId, is_unfinished: bool) -> Option<TaskId> {
        let task = self.tasks.get_mut(&input)?;
        task.uses -= 1;
        task.unfinished_uses -= u32::from(is_unfinished);
        task.is_over().then_some(input)
    }

    /// A task has ended without a result, and will never have one: tells who asked for it, and forgets what it was made of. Gives
    /// those that wait for it.
    pub(super) fn lose_for_good(&mut self, id: TaskId, out: &mut Vec<Action>) -> Vec<TaskId> {
        let task = self.tasks.get_mut(&id).expect("a task that ends is in the table");
        let (dependents, askers) = (std::mem::take(&mut task.dependents), std::mem::take(&mut task.askers));
        for asker in askers {
            self.disappoint(id, asker, out);
        }
        self.end_uses_of(id, out);
        self.set_state(id, State::Forgotten);
        self.let_go_of_spec(id, out);
        if self.tasks[&id].is_over() {
            self.forget(id, out);
        }
        dependents
    }

    pub(super) fn on_copied(&mut self, id: TaskId, to: Life) {
        let is_alive = self.life_of(to.worker) == Some(to);
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if let State::Made { holders } = &mut task.state
            && is_alive
            && !holders.contains(&to.worker)
        {
            holders.push(to.worker);
            if let Some(peer) = self.peers.get_mut(&to.worker) {
                peer.results.insert(id);
            }
        }
    }

    pub(super) fn on_dropped(&mut self, id: TaskId, by: Life, out: &mut Vec<Action>) {
        // Else its copies went with it.
        if self.life_of(by.worker) == Some(by) {
            if let Some(peer) = self.peers.get_mut(&by.worker) {
                peer.results.remove(&id);
            }
            self.lose_copy(id, by.worker, out);
        }
    }

    /// One copy less; without any the result is lost.
    pub(super) fn lose_copy(&mut self, id: TaskId, at: WorkerId, out: &mut Vec<Action>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let State::Made { holders } = &mut task.state else { return };
        holders.retain(|holder| *holder != at);
        if holders.is_empty() || planted!(surviving_result_remade) {
            self.drop_copies(id);
            if !self.tasks[&id].is_wanted {
                self.keep_as_lineage(id, out);
            }
        }
    }

    pub(super) fn on_started_away(&mut self, on: WorkerId, sending: Sending) {
        if !self.is_current(on, sending) {
            self.counters.late_reports += 1;
            return;
        }
        let task = self.tasks.get_mut(&sending.task).expect("just seen");
        if let State::Away(away) = &mut task.state {
            away.is_started = true;
        }
    }
}
