//! Those that go: other workers, and this process.

use super::{Core, FAREWELL, FAREWELL_LARGE, Input, life};
use crate::directory;
use crate::message::Message;
use crate::status::TaskCounts;
use crate::workers::departure::{Kind, Step};
use poniard_model::WorkerId;
use poniard_sched::Event;
use std::time::Duration;

impl Core {
    pub(super) fn on_gone(&mut self, worker: WorkerId, signal: Option<i32>, how: &str, is_cut_off: bool) {
        self.builds.remove(&worker);
        if !self.met.contains(&worker) {
            self.unmet.remove(&worker);
            let asked = self.desk.handles.asked_of(worker);
            self.desk.lose(worker, how, is_cut_off);
            return self.ask_others(worker, asked);
        }
        self.met.retain(|other| *other != worker);
        // In this order: who uses data that lived there learns that they are lost, and not that nothing fits.
        let asked = self.desk.handles.asked_of(worker);
        self.desk.lose(worker, how, is_cut_off);
        directory::change(|topology| topology.lose(worker, how));
        self.trips.lose(worker);
        self.lose_line(worker);
        self.share();
        self.tell(Event::Gone { life: life(worker), signal });
        self.ask_others(worker, asked);
        let step = self.departure.as_mut().map(|departure| departure.lose(worker));
        self.step_out(step);
    }

    /// A worker leaves. What it has made, and is known here by handles, is asked for before it hears that nothing of ours is there:
    /// so it stays until it has answered.
    pub(super) fn on_leaves_us(&mut self, worker: WorkerId) {
        directory::change(|topology| topology.lose(worker, "was removed"));
        self.desk.handles.leaves(worker);
        self.bring_home_from(worker);
        (self.exits.tell)(Input::LeavesUs(worker));
    }

    /// Nothing of others is here any more: goes on with leaving.
    pub(super) fn depart(&mut self, now: Duration) {
        let counts = TaskCounts::here();
        let is_idle = counts.waiting + counts.ready + counts.running == 0;
        // The owners of what rests here take it.
        let is_done = is_idle && self.is_all_sent() && self.desk.results.are_all_of(self.me.worker.id);
        let step = self.departure.as_mut().map(|departure| departure.on_time(now, is_done, &self.met));
        self.step_out(step);
    }

    fn step_out(&mut self, step: Option<Step>) {
        match step {
            Some(Step::Ask) => {
                for other in &self.met {
                    self.post.send(*other, Message::Asks(FAREWELL));
                    self.post.send_behind_large(*other, Message::Asks(FAREWELL_LARGE));
                }
            }
            Some(Step::Go) => {
                self.departure = None;
                self.post.deliver();
                (self.exits.stop)(WorkerId::FIRST);
            }
            Some(Step::Rest) | None => {}
        }
    }

    pub(super) fn heard_farewell(&mut self, by: WorkerId, kind: Kind) {
        let step = self.departure.as_mut().map(|departure| departure.heard(by, kind));
        self.step_out(step);
    }
}
