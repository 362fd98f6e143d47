//! Tasks that do not stop when they are told, and the laws of what is done about them.

use super::job::Key;
use super::world::{Happening, World};
use super::{GRACE, MS, SECOND};
use crate::event::Event;
use crate::life::Life;
use crate::message::Sending;
use poniard_model::{TaskId, WorkerId};
use std::collections::VecDeque;

/// How long a task runs on that does not look whether it was cancelled.
const DEAF_NS: u64 = 20 * SECOND;
/// A worker that was ended is replaced after this.
const REPLACED_NS: u64 = 5 * MS;

impl World {
    /// A pool is told that nobody wants a task any more.
    pub(super) fn stop(&mut self, at: Life, key: Key, events: &mut VecDeque<Event>) {
        let (now, run) = (self.now, self.runs + 1);
        let truth = &self.truths[&key];
        let is_deaf = truth.job.is_deaf && truth.was_cancelled && key.0 != at;
        let machine = self.machine(at).expect("it acts");
        let running = machine.running.get_mut(&key).filter(|running| is_deaf && running.children == 0);
        if let Some(running) = running {
            (running.is_stopped, running.run) = (Some(now), run);
            self.runs = run;
            return self.at(now + DEAF_NS, Happening::RunEnds { at, key, run });
        }
        if machine.running.remove(&key).is_some_and(|running| running.children == 0) {
            machine.busy -= 1;
        }
        self.tell_stopped(at, key, events);
    }

    fn tell_stopped(&mut self, at: Life, key: Key, events: &mut VecDeque<Event>) {
        let sending = self.machine(at).expect("it acts").sendings.remove(&key);
        let event = |sending| Event::Stopped { owner: key.0.worker, sending };
        events.extend(sending.map(event));
    }

    /// A task that did not stop returns all the same.
    pub(super) fn return_late(&mut self, at: Life, key: Key) {
        let machine = self.machine(at).expect("it has ended something");
        machine.running.remove(&key);
        machine.busy -= 1;
        let mut events = VecDeque::new();
        self.tell_stopped(at, key, &mut events);
        self.tell_all(at, events);
    }

    /// Whether a task that was told to stop keeps a processor.
    pub(super) fn is_stuck(&mut self, at: Life, owner: WorkerId, sending: Sending) -> bool {
        let now = self.now;
        let machine = self.machine(at).expect("it acts");
        let key = machine.key(owner, sending.task);
        let stopped = machine.running.get(&key).and_then(|running| running.is_stopped);
        if let Some(since) = stopped {
            assert!(since + GRACE <= now, "{key:?} has had too little time");
            assert!(self.truths[&key].was_cancelled, "{key:?} was not cancelled");
            self.stuck.insert(at);
        }
        stopped.is_some()
    }

    /// A worker has itself ended: it was right to, all who could hear of it have, and another one takes its place.
    pub(super) fn perish(&mut self, at: Life) {
        assert_ne!(at.worker, WorkerId(1), "the user's own process stays");
        assert!(self.stuck.contains(&at), "{at} ends for nothing");
        let peers = self.machine(at).expect("it acts").scheduler.status().peers;
        for peer in peers {
            let knows = self.knows_end_of(peer.life, at);
            let is_awake = self.machine(peer.life).is_some_and(|machine| !machine.frozen);
            // It does not wait for ever, and on a bad network that may be too short.
            let could_hear = is_awake && self.wire.is_none();
            assert!(knows || !could_hear, "{} has not heard of the end of {at}", peer.life);
        }
        self.perished += 1;
        let machine = self.machines.remove(&at.worker).expect("just seen");
        self.end_life(at, Some(9));
        let life = Life { incarnation: at.incarnation + 1, ..at };
        let threads = machine.processors;
        self.at(self.now + REPLACED_NS, Happening::Join { life, threads });
    }

    /// Whether a worker has heard that another one is ended on purpose.
    pub(super) fn knows_end_of(&mut self, who: Life, of: Life) -> bool {
        let Some(machine) = self.machine(who) else { return false };
        machine.scheduler.status().peers.iter().any(|peer| peer.life == of && peer.is_perishing)
    }

    /// The user cancels a task that will not look at it, once that runs on a worker which may be ended.
    pub(super) fn cancel_deaf(&mut self, owner: Life, task: TaskId) {
        let key = (owner, task);
        let truth = &self.truths[&key];
        if truth.outcome.is_some() || !self.machines.contains_key(&owner.worker) {
            return;
        }
        let runs =
            |machine: &super::machine::Machine| machine.life != owner && machine.running.contains_key(&key);
        match self.machines.values().any(runs) {
            true => self.cancel(owner, task),
            false => self.at(self.now + MS, Happening::CancelDeaf { owner, task }),
        }
    }
}
