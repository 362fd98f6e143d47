//! Who is idle, here and elsewhere, and when something is to be done about it.
//!
//! An idle worker says so once, to everybody, and everybody remembers it until it is served or says that it is busy: so nobody polls,
//! and work that appears anywhere meets whoever waits for it. (Work stealing asks victims at random: Blumofe & Leiserson, "Scheduling
//! multithreaded computations by work stealing", 1999. Asking over a network costs a round trip for each victim that has nothing.)

use super::Scheduler;
use crate::action::{Action, Take};
use crate::estimate::nanos;
use crate::life::Life;
use crate::message::Message;
use crate::peer::Hunger;
use poniard_model::{WorkerId, planted};
use std::time::Duration;

/// After the first time that nothing was worth giving to an idle worker, it is looked at again after this: a few round trips. Then
/// after twice as long, and so on.
const PATIENCE_FIRST: Duration = Duration::from_millis(1);

/// At the latest after this: as long as a ready task and an idle worker may meet by chance without being brought together.
const PATIENCE_MAX: Duration = Duration::from_millis(256);

/// What this process knows of its own idleness, and what it has asked of its pool for others.
#[derive(Debug)]
pub(super) struct Balance {
    /// The wish for work of this process.
    idle: Option<Hunger>,
    /// The number of its last wish.
    ask: u64,
    /// Whether the last wish stands: everybody was told, and nobody has given anything.
    is_asking: bool,
    pub(super) taking: Taking,
    /// How long the next rest is.
    patience: Duration,
    /// When tasks that were sent away are looked through again for some that are worth calling back.
    pub(super) recall_at: Option<Duration>,
    /// How long tasks such as the pool offered last may well take, if that is known.
    pub(super) long_ns: Option<u64>,
}

/// What the pool of this process was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    /// Nothing.
    Nothing,
    /// To offer what it has, at once.
    Asked,
    /// It had nothing, and will offer something as soon as it has.
    Standing,
    /// It had nothing that was worth giving.
    Resting { until: Duration },
}

impl Default for Balance {
    fn default() -> Balance {
        Balance {
            idle: None,
            ask: 0,
            is_asking: false,
            taking: Taking::Nothing,
            patience: PATIENCE_FIRST,
            recall_at: None,
            long_ns: None,
        }
    }
}

impl Balance {
    pub(super) fn idle(&self) -> Option<Hunger> {
        self.idle
    }

    pub(super) fn wakes_at(&self) -> Option<Duration> {
        let rest = match self.taking {
            Taking::Resting { until } => Some(until),
            _ => None,
        };
        [rest, self.recall_at].into_iter().flatten().min()
    }

    pub(super) fn rest_is_over(&mut self, now: Duration) {
        if matches!(self.taking, Taking::Resting { until } if until <= now) {
            self.taking = Taking::Nothing;
        }
        self.recall_at.take_if(|at| *at <= now);
    }

    /// Nothing was worth giving.
    pub(super) fn rest(&mut self, now: Duration) {
        self.taking = Taking::Resting { until: self.next_look(now) };
    }

    /// When to look again, which is later each time.
    pub(super) fn next_look(&mut self, now: Duration) -> Duration {
        let at = now + self.patience;
        self.patience = (self.patience * 2).min(PATIENCE_MAX);
        at
    }

    /// Something was given, or somebody new is idle.
    pub(super) fn be_eager(&mut self) {
        self.patience = PATIENCE_FIRST;
        self.recall_at = None;
    }
}

impl Scheduler {
    /// Processors of this process have nothing to do, or have something again.
    pub(super) fn on_idle(&mut self, now: Duration, processors: u32, out: &mut Vec<Action>) {
        if processors == 0 {
            return self.on_fed(None, out);
        }
        self.queued = 0;
        let is_known =
            self.balance.is_asking && self.balance.idle.is_some_and(|known| known.processors == processors);
        let since = self.balance.idle.map_or(now, |known| known.since);
        self.balance.idle = Some(Hunger { since, processors });
        if !is_known {
            self.balance.ask += 1;
            self.balance.is_asking = true;
            let told: Vec<Life> = self.peers.values().map(|peer| peer.life).collect();
            told.into_iter().for_each(|life| self.tell_idle(life, out));
            self.balance.be_eager();
        }
        self.recall(now, out);
    }

    /// Tells a peer that this process is idle, if it is.
    pub(super) fn tell_idle(&self, to: Life, out: &mut Vec<Action>) {
        if let (Some(idle), true) = (self.balance.idle, self.balance.is_asking) {
            let message = Message::Idle { ask: self.balance.ask, processors: idle.processors };
            out.push(Action::Send { to, message });
        }
    }

    /// This process has work: of its own, or given by a peer, which knows that.
    pub(super) fn on_fed(&mut self, by: Option<WorkerId>, out: &mut Vec<Action>) {
        self.balance.idle = None;
        if !std::mem::take(&mut self.balance.is_asking) {
            return;
        }
        let message = Message::Busy { ask: self.balance.ask };
        for peer in self.peers.values().filter(|peer| Some(peer.life.worker) != by) {
            out.push(Action::Send { to: peer.life, message: message.clone() });
        }
    }

    /// A peer is idle.
    pub(super) fn on_hungry(
        &mut self,
        now: Duration,
        from: WorkerId,
        ask: u64,
        processors: u32,
        out: &mut Vec<Action>,
    ) {
        let peer = self.peers.get_mut(&from).expect("seen by `on_message`");
        if ask <= peer.ask_seen {
            self.counters.repeated_messages += 1;
            return;
        }
        peer.ask_seen = ask;
        if peer.is_leaving {
            return;
        }
        let since = peer.hunger.map_or(now, |known| known.since);
        peer.hunger = Some(Hunger { since, processors: processors.max(1) });
        self.balance.be_eager();
        if matches!(self.balance.taking, Taking::Resting { .. } | Taking::Standing) {
            self.balance.taking = Taking::Nothing;
        }
        self.serve(now, out);
    }

    /// A peer that was idle has work.
    pub(super) fn on_sated(&mut self, from: WorkerId, ask: u64, out: &mut Vec<Action>) {
        let peer = self.peers.get_mut(&from).expect("seen by `on_message`");
        if ask != peer.ask_seen && !planted!(idle_reordered) {
            self.counters.repeated_messages += 1;
            return;
        }
        peer.hunger = None;
        self.stop_taking_for_nobody(out);
    }

    /// Somebody is idle, or may be: asks the pool of this process for tasks, and calls back some that wait elsewhere.
    pub(super) fn serve(&mut self, now: Duration, out: &mut Vec<Action>) {
        self.stop_taking_for_nobody(out);
        if self.balance.taking == Taking::Nothing {
            self.take(out);
        }
        if !matches!(self.balance.taking, Taking::Asked) {
            self.recall(now, out);
        }
    }

    fn stop_taking_for_nobody(&mut self, out: &mut Vec<Action>) {
        if self.peers.values().any(|peer| peer.hunger.is_some()) {
            return;
        }
        if matches!(self.balance.taking, Taking::Asked | Taking::Standing) {
            let ours = self.processors() as u32;
            out.push(Action::Take(Take { to: Vec::new(), theirs: 0, ours, at_most: 0 }));
        }
        self.balance.taking = Taking::Nothing;
        if self.balance.idle.is_none() {
            self.balance.recall_at = None;
        }
    }

    /// Asks the pool for as many tasks as those who are idle should get.
    fn take(&mut self, out: &mut Vec<Action>) {
        let hungry = self.peers.values().filter_map(|peer| Some((peer.life.worker, peer.hunger?.processors)));
        let (to, processors): (Vec<WorkerId>, Vec<u32>) = hungry.unzip();
        if to.is_empty() {
            return;
        }
        let at_most = processors.iter().map(|count| self.grant_max(*count)).sum();
        let theirs = processors.iter().sum();
        let ours = self.processors() as u32;
        out.push(Action::Take(Take { to, theirs, ours, at_most }));
        self.balance.taking = Taking::Asked;
    }

    /// How long somebody has been idle, in nanoseconds.
    pub(super) fn idle_ns(&self, who: WorkerId, now: Duration) -> u64 {
        let hunger = match who == self.me() {
            true => self.balance.idle,
            false => self.peers.get(&who).and_then(|peer| peer.hunger),
        };
        hunger.map_or(0, |hunger| nanos(now.saturating_sub(hunger.since)))
    }
}
