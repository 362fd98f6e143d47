//! Results that stay with the workers that made them: those of tasks of ours, elsewhere, and those of others' tasks, here.
//!
//! The owner of a task whose large result was made on another host has no more of it than its place. Whoever reads it on a third host
//! asks the worker that has it; whoever reads it here has it fetched, and from then on it is here and nowhere else. When that worker is
//! lost the scheduler has the task run again, by its call, which is kept here until nobody needs the result.

use super::{Core, Hosted, Input, life};
use crate::budget::memory;
use crate::message::{Message, RestTold};
use crate::workers::guests::{Ended, Guest};
use crate::workers::lines::LINE_BYTES_MIN;
use poniard_model::codec::Encoded;
use poniard_model::{TaskId, WorkerId};
use poniard_pool::AnyHandle;
use poniard_pool::travel::{Traveller, find_remote};
use poniard_sched::{Event, Life, Sending};
use poniard_store::refs::GlobalChunk;
use std::sync::Arc;

/// Where a result is that somebody asks this worker for.
pub(super) enum Place {
    /// Here, as the result of this task.
    Here(AnyHandle),
    /// Here, or it will be: a handle of it that who asks has too.
    Handle(Arc<Traveller>),
    /// With another worker, or not here any more.
    Elsewhere,
    /// Who asks has no part in it.
    Unknown,
}

/// Why a result that a stopped cluster had cannot be had.
pub(crate) const STOPPED: &str =
    "the cluster was stopped, and it was with a worker: fetch it, or wait for what uses it, before that";

/// Nobody is there any more who has the result.
pub(crate) fn not_fetched(task: TaskId) {
    memory().fetched(task.into(), Err(STOPPED.to_owned()));
}

impl Core {
    /// Whether what a guest has made stays here.
    pub(super) fn rests(&self, owner: WorkerId, guest: &Hosted, value: &Encoded) -> bool {
        match guest.rest {
            RestTold::Always => true,
            RestTold::Never => false,
            RestTold::IfLarge => {
                let is_far = self.has_lines() && !self.desk.leases.is_shared_with(owner);
                let is_large = value.total_bytes() >= LINE_BYTES_MIN && value.things().is_empty();
                let is_kept = guest.task.as_ref().is_some_and(AnyHandle::is_kept);
                is_far && is_large && is_kept && !self.scheduler.is_leaving()
            }
        }
    }

    /// A worker has made the result of a task of ours, and keeps it.
    pub(super) fn rests_there(&mut self, task: TaskId, at: WorkerId) {
        if !self.scheduler.holders(task).contains(&at) {
            // It comes too late, or nobody wants it.
            return self.post.send(at, Message::Drop(vec![task]));
        }
        let before = self.trips.rests_at(task, Some(at));
        before.filter(|before| *before != at).into_iter().for_each(|before| self.drop_at(task, before));
        if self.desk.handles.is_going(at) {
            self.bring_home(task, at);
        }
    }

    /// Nobody needs a copy any more of the result of a task of ours.
    pub(super) fn drop_copy(&mut self, task: TaskId) {
        if let Some(at) = self.trips.rests_at(task, None) {
            self.drop_at(task, at);
        }
    }

    fn drop_at(&mut self, task: TaskId, at: WorkerId) {
        if at == self.me.worker.id {
            self.desk.results.drop_one(at, task);
        } else if self.met.contains(&at) {
            self.post.send(at, Message::Drop(vec![task]));
        }
    }

    /// Nobody here has a handle any more.
    pub(super) fn release(&mut self, task: TaskId) {
        self.fetches.remove(&task);
        self.drop_copy(task);
        self.tell(Event::Released(task));
    }

    /// Somebody here reads the result of a task of ours.
    pub(super) fn fetch(&mut self, task: TaskId) {
        match self.scheduler.holders(task).first() {
            Some(at) => self.fetch_from(task, *at),
            None => self.fetch_anywhere(task, &[]),
        }
    }

    /// Fetches a result that cannot be had of these workers.
    fn fetch_anywhere(&mut self, task: TaskId, tried: &[WorkerId]) {
        self.fetches.insert(task, None);
        memory().stalled(task.into());
        self.look_for(self.ours(task), tried);
    }

    fn fetch_from(&mut self, task: TaskId, at: WorkerId) {
        self.fetches.insert(task, Some(at));
        self.ask(at, self.ours(task));
    }

    fn ours(&self, task: TaskId) -> GlobalChunk {
        GlobalChunk { owner: self.me.worker.id, chunk: task.into() }
    }

    /// Asks a worker for a result.
    pub(super) fn ask(&mut self, at: WorkerId, of: GlobalChunk) {
        if at == self.me.worker.id {
            self.on_wanted(at, of)
        } else {
            self.send_when_met(at, Message::Wants(of))
        }
    }

    /// Whether this worker was asked for a result of ours that is read here.
    pub(super) fn is_fetched_from(&self, from: WorkerId, of: GlobalChunk) -> bool {
        of.owner == self.me.worker.id && self.fetches.get(&TaskId(of.chunk.0)) == Some(&Some(from))
    }

    /// A result of ours that is read here has come; or not, then it is looked for.
    pub(super) fn on_fetched(&mut self, from: WorkerId, of: GlobalChunk, outcome: Ended) {
        let task = TaskId(of.chunk.0);
        let Ended::Made(value) = outcome else { return self.fetch_anywhere(task, &[from]) };
        self.fetches.remove(&task);
        memory().fetched(of.chunk, Ok(&value));
        let me = life(self.me.worker.id);
        self.tell(Event::Copied { result: task, to: me });
        if from != me.worker {
            self.tell(Event::Dropped { result: task, by: life(from) });
        }
        self.drop_copy(task);
    }

    /// A result cannot be had of these workers: its owner's scheduler says who has it, or has it made again.
    pub(super) fn look_for(&self, of: GlobalChunk, tried: &[WorkerId]) {
        // Not at once: the scheduler may be in the middle of saying where it was.
        (self.exits.tell)(Input::Missing { of, tried: tried.to_vec() });
    }

    pub(super) fn on_missing(&mut self, of: GlobalChunk, tried: Vec<WorkerId>) {
        let tried: Vec<Life> = tried.into_iter().map(life).collect();
        self.tell(Event::Missing { owner: of.owner, result: TaskId(of.chunk.0), tried });
    }

    /// A worker is gone that was asked for these results.
    pub(super) fn ask_others(&mut self, gone: WorkerId, results: Vec<GlobalChunk>) {
        results.into_iter().for_each(|of| self.look_for(of, &[]));
        let fetches = self.fetches.iter().filter(|(_, at)| **at == Some(gone));
        let fetches: Vec<TaskId> = fetches.map(|(task, _)| *task).collect();
        fetches.into_iter().for_each(|task| self.fetch_anywhere(task, &[]));
    }

    /// A result that was looked for is there.
    pub(super) fn located(&mut self, owner: WorkerId, result: TaskId, at: &[Life]) {
        let of = GlobalChunk { owner, chunk: result.into() };
        let Some(at) = at.first().map(|at| at.worker) else { return };
        if owner == self.me.worker.id && self.fetches.get(&result) == Some(&None) {
            self.fetch_from(result, at);
        }
        if self.desk.handles.is_at(of, at) {
            self.ask(at, of);
        }
    }

    /// A result that was looked for cannot be made again.
    pub(super) fn unobtainable(&mut self, owner: WorkerId, result: TaskId) {
        let of = GlobalChunk { owner, chunk: result.into() };
        let why = "it was lost with the worker that had made it, and could not be made again";
        if owner == self.me.worker.id && self.fetches.remove(&result).is_some() {
            memory().fetched(of.chunk, Err(why.to_owned()));
        }
        let why = format!("cannot have its input {result} of {owner}: {why}");
        self.desk.handles.is_unobtainable(of, &why);
    }

    /// Where the result is that a worker asks for.
    pub(super) fn whereabouts(&self, by: WorkerId, of: GlobalChunk) -> Place {
        let (task, me) = (TaskId(of.chunk.0), self.me.worker.id);
        if let Some(made) = self.desk.results.find(of.owner, task) {
            return Place::Here(made.clone());
        }
        if of.owner != me {
            return Place::Elsewhere;
        }
        let is_away = |holders: &[WorkerId]| !holders.is_empty() && !holders.contains(&me);
        if is_away(self.scheduler.holders(task)) && by != me {
            return Place::Elsewhere;
        }
        if let Some(handle) = self.desk.handles.meant(by, of) {
            return Place::Handle(handle);
        }
        match find_remote(task).filter(|_| self.scheduler.holders(task).contains(&me) && by != me) {
            Some(made) => Place::Here(made),
            None => Place::Unknown,
        }
    }

    /// Runs a task of ours once more here, whose result was lost. The pool takes it for a guest.
    pub(super) fn make_here(&mut self, task: TaskId) {
        let me = self.me.worker.id;
        let Some(run) = self.trips.run(task, me, &self.scheduler, &mut self.desk) else { return };
        if let Some(guest) = Guest::arrive(run, me, &mut self.desk) {
            self.trips.rests_at(task, Some(me));
            self.host(me, Sending { task, number: 0 }, guest);
        }
    }

    /// A worker leaves, and what it has of ours comes here.
    pub(super) fn bring_home_from(&mut self, worker: WorkerId) {
        for task in self.scheduler.results_with(worker) {
            self.bring_home(task, worker);
        }
    }

    fn bring_home(&mut self, task: TaskId, from: WorkerId) {
        let tell = self.exits.tell;
        match find_remote(task) {
            Some(made) => made.bring_home(move |has_come| {
                if !has_come {
                    tell(Input::NotBrought { task, from });
                }
            }),
            // It was made again for others alone: they have it made once more.
            None => self.give_up_copy(task, from),
        }
    }

    /// A worker that leaves need not keep the result any longer.
    pub(super) fn give_up_copy(&mut self, task: TaskId, from: WorkerId) {
        if self.scheduler.holders(task).contains(&from) {
            self.tell(Event::Dropped { result: task, by: life(from) });
            self.drop_copy(task);
        }
    }
}
