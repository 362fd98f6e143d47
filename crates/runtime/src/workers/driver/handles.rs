//! Results that others want of tasks of this process, and those that come; memory and handles that are over.

use super::rest::Place;
use super::{ACQUAINTANCE_MAX, Core, Input};
use crate::message::{Message, Outcome};
use crate::workers::guests::Ended;
use poniard_model::codec::Encoded;
use poniard_model::{Cause, TaskError, WorkerId};
use poniard_store::refs::GlobalChunk;
use std::time::Duration;

impl Core {
    /// A worker wants the result of a task of ours, of which it has a handle.
    pub(super) fn on_wanted(&mut self, by: WorkerId, of: GlobalChunk) {
        let tell = self.exits.tell;
        let told = Box::new(move |result| tell(Input::Told { to: by, of, result }));
        match self.whereabouts(by, of) {
            Place::Here(task) => task.tell_large(told),
            Place::Handle(task) => task.tell(told),
            Place::Elsewhere => self.answer(by, of, Ended::Elsewhere),
            Place::Unknown => {
                let why = TaskError::without_task(Cause::scheduling(format!("{by} has no handle of it")));
                self.on_told(by, of, Err(why));
            }
        }
    }

    /// Somebody here wants another worker's task to stop.
    pub(super) fn cancel_there(&mut self, era: u64, of: GlobalChunk) {
        if self.desk.handles.may_cancel(era, of) {
            self.send_when_met(of.owner, Message::Cancel(of));
        }
    }

    /// A worker that has a handle of a task of ours wants it to stop.
    pub(super) fn on_cancelled(&mut self, by: WorkerId, of: GlobalChunk) {
        if let Some(task) = self.desk.handles.meant(by, of) {
            task.task().cancel();
        }
    }

    pub(super) fn on_told(&mut self, to: WorkerId, of: GlobalChunk, result: Result<Encoded, TaskError>) {
        let ended = match result {
            Ok(value) => Ended::Made(value),
            Err(error) => Ended::Failed(error.told_cause(&poniard_pool::image::site_offset), 1),
        };
        self.answer(to, of, ended);
    }

    fn answer(&mut self, to: WorkerId, of: GlobalChunk, ended: Ended) {
        if to == self.me.worker.id {
            self.has_answered(to, of, ended);
        } else if self.met.contains(&to) {
            let outcome = self.pack(ended, to);
            self.post.send(to, Message::Result(of, outcome));
        }
    }

    /// The result has come of another worker's task, of which there are handles here.
    pub(super) fn on_result(&mut self, from: WorkerId, of: GlobalChunk, outcome: Outcome) {
        // What cannot be read any more is lost with its worker, of which we are told as well.
        let Some(outcome) = self.open(outcome, from) else { return };
        self.has_answered(from, of, outcome);
    }

    /// A worker that was asked for a result has answered.
    fn has_answered(&mut self, from: WorkerId, of: GlobalChunk, outcome: Ended) {
        if self.is_fetched_from(from, of) {
            return self.on_fetched(from, of, outcome);
        }
        let is_had =
            matches!(outcome, Ended::Made(_)) || (from == of.owner && !matches!(outcome, Ended::Elsewhere));
        if !is_had && self.desk.handles.was_asked(from, of) {
            // Its owner says where it is.
            return self.look_for(of, &[from]);
        }
        let build = self.builds.get(&from).copied();
        let Some(end) = self.desk.handles.ender(from, of) else { return };
        end.end(match outcome {
            Ended::Made(value) => Ok(value),
            Ended::Elsewhere => return,
            Ended::Stays(why) => Err(Cause::scheduling(why)),
            Ended::Failed(told, _) => {
                Err(told.into_cause(&|number| build.and_then(|build| build.site(number))))
            }
        });
    }

    /// Sends a message to a worker, which a third one has spoken of before it was met here, perhaps.
    pub(super) fn send_when_met(&mut self, to: WorkerId, message: Message) {
        if self.met.contains(&to) {
            return self.post.send(to, message);
        }
        let now = self.began.elapsed();
        self.unmet.entry(to).or_insert_with(|| (now, Vec::new())).1.push(message);
    }

    /// Workers that were gone before they could be met.
    pub(super) fn give_up_unmet(&mut self, now: Duration) {
        let is_late = |(since, _): &(Duration, _)| *since + ACQUAINTANCE_MAX <= now;
        let late: Vec<WorkerId> =
            self.unmet.iter().filter(|(_, waiting)| is_late(waiting)).map(|(worker, _)| *worker).collect();
        for worker in late {
            self.unmet.remove(&worker);
            let asked = self.desk.handles.asked_of(worker);
            self.desk.handles.lose(worker, "it was gone before it could be met");
            self.ask_others(worker, asked);
        }
    }

    /// Tells others that what they have lent, and the handles that they have given, are read and held no more.
    pub(super) fn tell_what_is_over(&mut self) {
        self.on_time_of_lines(self.began.elapsed());
        for (owner, leases) in self.desk.leases.take_over() {
            self.post.send(owner, Message::Over(leases));
        }
        for (to, note) in self.desk.handles.take_notes() {
            self.send_when_met(to, Message::Handles(note));
        }
    }
}
