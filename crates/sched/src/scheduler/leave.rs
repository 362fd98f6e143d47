//! Leaving in order: nobody sends anything more to a worker that leaves, it sees what it has to its end, and then it goes.
//!
//! Who leaves tells everybody. They take it out of the places for tasks, call back what has not started there and may run elsewhere,
//! and say so when nothing of theirs is there any more. When all have said that, nothing of others is there, and nothing is on its way.

use super::{RUN_TASKS_MAX, Scheduler};
use crate::action::Action;
use crate::life::Life;
use crate::message::{Message, Sending};
use crate::task::State;
use poniard_model::{TaskId, WorkerId, planted};
use std::collections::BTreeSet;
use std::time::Duration;

/// What a process that leaves waits for.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Who has nothing here any more, and will send nothing.
    parted: BTreeSet<WorkerId>,
    has_departed: bool,
}

impl Scheduler {
    /// This process is to leave.
    pub(super) fn on_leave(&mut self, out: &mut Vec<Action>) {
        if self.leaving.is_none() {
            self.leaving = Some(Leaving::default());
            let peers: Vec<Life> = self.peers.values().map(|peer| peer.life).collect();
            peers.into_iter().for_each(|peer| self.tell_leaving(peer, out));
        }
    }

    /// Tells a peer that this process leaves, if it does.
    pub(super) fn tell_leaving(&mut self, to: Life, out: &mut Vec<Action>) {
        if self.leaving.is_some() {
            out.push(Action::Send { to, message: Message::Leaving });
        }
    }

    /// A peer leaves: it gets nothing more.
    pub(super) fn on_leaving(&mut self, now: Duration, who: WorkerId, out: &mut Vec<Action>) {
        let peer = self.peers.get_mut(&who).expect("seen by `on_message`");
        if peer.is_leaving {
            self.counters.repeated_messages += 1;
            return;
        }
        peer.is_leaving = true;
        peer.hunger = None;
        let sent: Vec<TaskId> = peer.sent.values().copied().collect();
        self.places.leave(who, "was removed");
        self.unparted.insert(who);
        let movable: Vec<Sending> = sent.into_iter().filter_map(|id| self.movable(id)).collect();
        for sendings in movable.chunks(RUN_TASKS_MAX) {
            self.call_back(who, sendings.to_vec(), out);
        }
        self.retry_homeless(now, out);
        self.serve(now, out);
    }

    /// The current sending of a task, if it may not have started and somebody else may run it. One that fits nobody else stays, and so
    /// does one that may have killed: it would only meet others elsewhere.
    fn movable(&mut self, id: TaskId) -> Option<Sending> {
        let task = &self.tasks[&id];
        let State::Away(away) = &task.state else { return None };
        if away.is_recalled || away.is_started || !task.deaths.is_empty() {
            return None;
        }
        let number = task.sendings;
        let seats = self.places.seats(&task.spec);
        (!seats.is_empty()).then_some(Sending { task: id, number })
    }

    /// Whether this process is to leave.
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// A peer has nothing here any more.
    pub(super) fn on_parted(&mut self, who: WorkerId) {
        if let Some(leaving) = &mut self.leaving {
            leaving.parted.insert(who);
        }
    }

    /// Says that it is over to those who leave and have nothing of ours any more; and goes, if this process may.
    pub(super) fn part(&mut self, out: &mut Vec<Action>) {
        let is_over = |who: &WorkerId| {
            self.peers.get(who).is_none_or(|peer| peer.sent.is_empty()) || planted!(parts_early)
        };
        let over: Vec<WorkerId> = self.unparted.iter().filter(|who| is_over(who)).copied().collect();
        for who in over {
            self.unparted.remove(&who);
            self.send(who, Message::Parted, out);
        }
        let Some(leaving) = self.leaving.as_mut().filter(|leaving| !leaving.has_departed) else { return };
        if self.held.is_empty() && self.peers.keys().all(|who| leaving.parted.contains(who)) {
            leaving.has_departed = true;
            out.push(Action::Depart);
        }
    }
}
