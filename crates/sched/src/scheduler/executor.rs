//! Running tasks of others: what they send, ask back and cancel.

use super::Scheduler;
use crate::action::Action;
use crate::message::{Message, Order, Report, Sending};
use crate::task::Held;
use poniard_model::{TaskId, WorkerId, planted};
use std::time::Duration;

impl Scheduler {
    pub(super) fn on_run(&mut self, owner: WorkerId, number: u64, orders: Vec<Order>, out: &mut Vec<Action>) {
        let peer = self.peers.get_mut(&owner).expect("seen by `on_message`");
        if !peer.runs_seen.note(number) && !planted!(run_taken_twice) {
            self.counters.repeated_messages += 1;
            return;
        }
        for order in orders {
            let sending = order.sending;
            let held = Held { sending: sending.number, is_watched: order.is_watched };
            self.held.insert((owner, sending.task), held);
            self.counters.started_here += 1;
            out.push(Action::Start { owner, order });
        }
        self.on_fed(Some(owner), out);
    }

    pub(super) fn on_started_here(&mut self, owner: WorkerId, task: TaskId, out: &mut Vec<Action>) {
        if let Some(held) = self.held.get((owner, task)).filter(|held| held.is_watched) {
            let sending = Sending { task, number: held.sending };
            self.send(owner, Message::Started(sending), out);
        }
    }

    /// A task has ended in the pool of this process.
    pub(super) fn on_finished(
        &mut self,
        now: Duration,
        owner: WorkerId,
        report: Report,
        out: &mut Vec<Action>,
    ) {
        let task = report.sending.task;
        if owner == self.me() {
            self.on_finished_here(now, report, out);
        } else if let Some(held) = self.held.remove((owner, task))
            && !planted!(lost_reply)
        {
            let sending = Sending { task, number: held.sending };
            self.send(owner, Message::Done(Report { sending, ..report }), out);
        }
    }

    pub(super) fn on_recall(&mut self, owner: WorkerId, sendings: &[Sending], out: &mut Vec<Action>) {
        let is_held = |sending: &&Sending| {
            let held = self.held.get((owner, sending.task));
            held.is_some_and(|held| held.sending == sending.number)
        };
        let tasks: Vec<TaskId> = sendings.iter().filter(is_held).map(|sending| sending.task).collect();
        if tasks.is_empty() {
            // All of them have ended; the reports are on their way, and this follows them.
            self.send(owner, Message::Returned(Vec::new()), out);
        } else {
            out.push(Action::Withdraw { owner, tasks });
        }
    }

    pub(super) fn on_withdrawn(&mut self, owner: WorkerId, tasks: &[TaskId], out: &mut Vec<Action>) {
        let mut returned = Vec::new();
        for task in tasks {
            // Else it was cancelled meanwhile, and nobody asks for it any more.
            if let Some(held) = self.held.remove((owner, *task)) {
                returned.push(Sending { task: *task, number: held.sending });
            }
        }
        self.send(owner, Message::Returned(returned), out);
    }

    pub(super) fn on_cancel_here(
        &mut self,
        now: Duration,
        owner: WorkerId,
        sending: Sending,
        out: &mut Vec<Action>,
    ) {
        let held = self.held.get((owner, sending.task));
        if held.is_some_and(|held| held.sending == sending.number) {
            self.held.remove((owner, sending.task));
            self.watch_stopped(now, owner, sending);
            out.push(Action::Stop { owner, task: sending.task });
        }
    }

    /// Their owner is gone: nobody wants the results of its tasks.
    pub(super) fn stop_tasks_of(&mut self, owner: WorkerId, out: &mut Vec<Action>) {
        let tasks = self.held.remove_all_of(owner);
        out.extend(tasks.keys().map(|task| Action::Stop { owner, task }));
    }
}
