//! Who comes and who goes: other workers, and this process.

use super::{ACQUAINTANCE_MAX, Core, FAREWELL, life};
use crate::directory;
use crate::message::{BufferTold, Bytes, Member, Message};
use crate::status::TaskCounts;
use crate::workers::departure::Step;
use poniard_model::WorkerId;
use poniard_sched::Event;
use std::time::Duration;

impl Core {
    /// Sends a message to a worker, which a third one has spoken of before it was met here, perhaps.
    pub(super) fn send_when_met(&mut self, to: WorkerId, message: Message) {
        if self.met.contains(&to) {
            return self.post.send(to, message);
        }
        let now = self.began.elapsed();
        self.unmet.entry(to).or_insert_with(|| (now, Vec::new())).1.push(message);
    }

    /// A worker has said who it is.
    pub(super) fn meet(&mut self, from: WorkerId, member: Member) {
        if member.worker.id != from || self.met.contains(&from) {
            return;
        }
        self.met.push(from);
        directory::change(|topology| topology.join(member.worker.clone(), &member.processors));
        for message in self.unmet.remove(&from).map(|(_, messages)| messages).unwrap_or_default() {
            self.post.send(from, message);
        }
        let Member { worker, processors, sample: (sample, place) } = member;
        if let Some(place) = place {
            let there = Bytes::new(Vec::new(), vec![BufferTold::Lent { place, lease: 0 }]);
            if self.desk.leases.look(from, there, &sample) {
                self.post.send(from, Message::Sees);
            }
        }
        self.share();
        self.tell(Event::Joined { life: life(from), worker, processors });
        if self.me.worker.id == WorkerId::FIRST {
            (self.exits.met)(WorkerId::FIRST, self.met.clone());
        } else if self.met.contains(&WorkerId::FIRST) {
            self.post.send(WorkerId::FIRST, Message::Met(self.met.clone()));
        }
    }

    /// Whoever others have spoken of was gone before it could be met, if it has not come by now.
    pub(super) fn give_up_unmet(&mut self, now: Duration) {
        let is_late = |(since, _): &(Duration, _)| *since + ACQUAINTANCE_MAX <= now;
        let late: Vec<WorkerId> =
            self.unmet.iter().filter(|(_, waiting)| is_late(waiting)).map(|(worker, _)| *worker).collect();
        for worker in late {
            // It was gone before it could be met.
            self.unmet.remove(&worker);
            self.desk.handles.lose(worker);
        }
    }

    /// A worker is gone, and this became of it.
    pub(super) fn on_gone(&mut self, worker: WorkerId, signal: Option<i32>, how: &str) {
        self.builds.remove(&worker);
        if !self.met.contains(&worker) {
            self.unmet.remove(&worker);
            return self.desk.handles.lose(worker);
        }
        self.met.retain(|other| *other != worker);
        directory::change(|topology| topology.lose(worker, how));
        self.trips.lose(worker);
        self.desk.lose(worker);
        self.share();
        self.tell(Event::Gone { life: life(worker), signal });
        self.heard_farewell(worker);
    }

    /// Nothing of others is here any more: goes on with leaving.
    pub(super) fn depart(&mut self, now: Duration) {
        let counts = TaskCounts::here();
        let is_done = counts.waiting + counts.ready + counts.running == 0;
        let step = self.departure.as_mut().map(|departure| departure.on_time(now, is_done, &self.met));
        self.step_out(step);
    }

    fn step_out(&mut self, step: Option<Step>) {
        match step {
            Some(Step::Ask) => {
                self.met.iter().for_each(|other| self.post.send(*other, Message::Asks(FAREWELL)));
            }
            Some(Step::Go) => {
                self.departure = None;
                (self.exits.stop)(WorkerId::FIRST);
            }
            Some(Step::Rest) | None => {}
        }
    }

    pub(super) fn heard_farewell(&mut self, by: WorkerId) {
        let step = self.departure.as_mut().map(|departure| departure.heard(by));
        self.step_out(step);
    }
}
