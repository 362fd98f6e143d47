//! A task that was cancelled, does not look at that, and keeps a processor: nothing makes it return but the end of its process.
//!
//! The executor counts from the cancel. When its patience is over it asks the runtime whether the task keeps a processor, and asks
//! again after as long while it does not. If it does, the process tells everybody that it perishes: they send it nothing more, hold its
//! death against nobody, and say that they have heard. Then it has itself ended. Only a cancel by the owner counts, and a time limit is
//! one: a task whose owner is gone is told to stop as well, and may run on.

use super::Scheduler;
use crate::action::Action;
use crate::life::Life;
use crate::message::{Message, Sending};
use poniard_model::WorkerId;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the others may take to say that they have heard: one that is stopped hears it when it goes on, before it hears of the end.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a process that perishes waits for.
#[derive(Debug)]
pub(super) struct Perishing {
    /// Who has heard of it.
    noted: BTreeSet<WorkerId>,
    /// It waits no longer.
    until: Duration,
    /// The runtime was told.
    is_over: bool,
}

impl Scheduler {
    /// A task of another owner is told to stop, because that has cancelled it.
    pub(super) fn watch_stopped(&mut self, now: Duration, owner: WorkerId, sending: Sending) {
        if let Some(at) = self.config.grace.and_then(|grace| now.checked_add(grace)) {
            self.stopped.insert((owner, sending), at);
        }
    }

    /// Looks at those that have not come to their end for too long.
    pub(super) fn look_at_stopped(&mut self, now: Duration, out: &mut Vec<Action>) {
        let Some(grace) = self.config.grace.filter(|_| self.perishing.is_none()) else { return };
        for ((owner, sending), at) in self.stopped.iter_mut().filter(|(_, at)| **at <= now) {
            // Not at once again, however short the patience.
            *at = now + grace.max(Duration::from_millis(1));
            out.push(Action::Look { owner: *owner, sending: *sending });
        }
    }

    pub(super) fn on_stuck(
        &mut self,
        now: Duration,
        owner: WorkerId,
        sending: Sending,
        keeps_processor: bool,
        out: &mut Vec<Action>,
    ) {
        let is_known = self.stopped.contains_key(&(owner, sending));
        if !is_known || !keeps_processor || self.perishing.is_some() {
            return;
        }
        self.counters.stuck += 1;
        self.perishing = Some(Perishing { noted: BTreeSet::new(), until: now + PATIENCE, is_over: false });
        let peers: Vec<Life> = self.peers.values().map(|peer| peer.life).collect();
        peers.into_iter().for_each(|peer| self.tell_perishing(peer, out));
    }

    /// Tells a peer that this process perishes, if it does.
    pub(super) fn tell_perishing(&mut self, to: Life, out: &mut Vec<Action>) {
        if self.perishing.is_some() {
            out.push(Action::Send { to, message: Message::Perishing });
        }
    }

    /// A peer perishes: it gets nothing more, and what it has is run again when it is gone.
    pub(super) fn on_perishing(&mut self, now: Duration, who: WorkerId, out: &mut Vec<Action>) {
        let peer = self.peers.get_mut(&who).expect("seen by `on_message`");
        if peer.is_perishing {
            self.counters.repeated_messages += 1;
            return;
        }
        let was_leaving = std::mem::replace(&mut peer.is_leaving, true);
        peer.is_perishing = true;
        peer.hunger = None;
        if !was_leaving {
            self.places.leave(who, "is ended, for a task that was cancelled there does not return");
        }
        self.send(who, Message::Noted, out);
        self.retry_homeless(now, out);
        self.serve(now, out);
    }

    /// A peer has heard that this process perishes.
    pub(super) fn on_noted(&mut self, who: WorkerId) {
        if let Some(perishing) = &mut self.perishing {
            perishing.noted.insert(who);
        }
    }

    /// Perishes, if all have heard of it or are late.
    pub(super) fn perish(&mut self, now: Duration, out: &mut Vec<Action>) {
        let Some(perishing) = self.perishing.as_mut().filter(|perishing| !perishing.is_over) else { return };
        if perishing.until <= now || self.peers.keys().all(|who| perishing.noted.contains(who)) {
            perishing.is_over = true;
            out.push(Action::Perish);
        }
    }

    /// When there is something to be looked at, or waited for no longer.
    pub(super) fn perish_wakes_at(&self) -> Option<Duration> {
        match &self.perishing {
            Some(perishing) => Some(perishing.until).filter(|_| !perishing.is_over),
            None => self.stopped.values().min().copied(),
        }
    }
}
