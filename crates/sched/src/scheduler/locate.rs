//! Where results are, for those who could not get them where they were said to be.

use super::Scheduler;
use crate::action::Action;
use crate::life::Life;
use crate::message::Message;
use crate::task::{Asker, State};
use poniard_model::{TaskId, WorkerId};
use std::time::Duration;

impl Scheduler {
    /// Somebody needs a result of ours, and could not get it where it was said to be.
    pub(super) fn on_need(
        &mut self,
        now: Duration,
        from: Life,
        id: TaskId,
        tried: Vec<Life>,
        out: &mut Vec<Action>,
    ) {
        self.need(now, Asker::Peer(from), id, &tried, out);
    }

    /// Somebody here needs a result, and could not get it where it was said to be.
    pub(super) fn on_missing(
        &mut self,
        now: Duration,
        owner: WorkerId,
        result: TaskId,
        tried: Vec<Life>,
        out: &mut Vec<Action>,
    ) {
        if owner == self.me() {
            self.need(now, Asker::Here, result, &tried, out);
        } else if self.peers.contains_key(&owner) {
            self.needs.insert((owner, result));
            self.send(owner, Message::Need { result, tried }, out);
        } else {
            out.push(Action::Unobtainable { owner, result });
        }
    }

    fn need(&mut self, now: Duration, asker: Asker, id: TaskId, tried: &[Life], out: &mut Vec<Action>) {
        let holders: Vec<Life> = match self.tasks.get(&id).map(|task| &task.state) {
            // A result that never left its process has no entry: it is here, or nowhere.
            None => vec![self.config.me],
            Some(State::Made { holders }) => {
                holders.iter().filter_map(|worker| self.life_of(*worker)).collect()
            }
            _ => Vec::new(),
        };
        let untried: Vec<Life> = holders.into_iter().filter(|holder| !tried.contains(holder)).collect();
        if !untried.is_empty() {
            return self.answer(id, asker, untried, out);
        }
        match self.tasks.get_mut(&id) {
            Some(task) if task.state != State::Forgotten => {
                if !task.askers.contains(&asker) {
                    task.askers.push(asker);
                }
                // Who has it cannot give it to them: a copy made elsewhere is as good as a lost one made again.
                if matches!(task.state, State::Made { .. }) {
                    self.drop_copies(id);
                }
                self.make_again(now, id, out);
                self.free_awaited(now, out);
            }
            _ => self.disappoint(id, asker, out),
        }
    }

    /// Who has a copy of a result of ours that left this process; none as long as it is not made, and of what never left.
    pub fn holders(&self, result: TaskId) -> &[WorkerId] {
        match self.tasks.get(&result).map(|task| &task.state) {
            Some(State::Made { holders }) => holders,
            _ => &[],
        }
    }

    /// The results of ours of which a worker has a copy.
    pub fn results_with(&self, worker: WorkerId) -> Vec<TaskId> {
        self.peers.get(&worker).map(|peer| peer.results.iter().copied().collect()).unwrap_or_default()
    }

    /// The life that a worker has now.
    pub(super) fn life_of(&self, worker: WorkerId) -> Option<Life> {
        match worker == self.me() {
            true => Some(self.config.me),
            false => self.peers.get(&worker).map(|peer| peer.life),
        }
    }

    /// Tells one who asked that the result is lost.
    pub(super) fn disappoint(&mut self, result: TaskId, asker: Asker, out: &mut Vec<Action>) {
        match asker {
            Asker::Here => out.push(Action::Unobtainable { owner: self.me(), result }),
            Asker::Peer(life) => self.tell(life, Message::Unobtainable { result }, out),
        }
    }

    /// Tells one who asked where the result is.
    pub(super) fn answer(&mut self, result: TaskId, asker: Asker, at: Vec<Life>, out: &mut Vec<Action>) {
        match asker {
            Asker::Here => out.push(Action::Located { owner: self.me(), result, at }),
            Asker::Peer(life) => self.tell(life, Message::Located { result, at }, out),
        }
    }

    /// Sends to a life, if that is the one that the peer has now.
    fn tell(&mut self, life: Life, message: Message, out: &mut Vec<Action>) {
        if self.peers.get(&life.worker).is_some_and(|peer| peer.life == life) {
            self.send(life.worker, message, out);
        }
    }

    pub(super) fn on_located(
        &mut self,
        owner: WorkerId,
        result: TaskId,
        at: Vec<Life>,
        out: &mut Vec<Action>,
    ) {
        if self.needs.remove(&(owner, result)) {
            out.push(Action::Located { owner, result, at });
        }
    }

    pub(super) fn on_unobtainable(&mut self, owner: WorkerId, result: TaskId, out: &mut Vec<Action>) {
        if self.needs.remove(&(owner, result)) {
            out.push(Action::Unobtainable { owner, result });
        }
    }

    /// Nothing more of theirs is to be had.
    pub(super) fn give_up_needs_of(&mut self, owner: WorkerId, out: &mut Vec<Action>) {
        let its = (owner, TaskId(0))..=(owner, TaskId(u64::MAX));
        let results: Vec<TaskId> = self.needs.range(its).map(|(_, result)| *result).collect();
        results.into_iter().for_each(|result| self.on_unobtainable(owner, result, out));
    }
}
