//! The engine for tests: virtual time, and every fault by seed.
//!
//! [`Sim`] is the network alone, [`Cluster`] has processes on it. Nothing here has a thread or a clock, so the same seed
//! and the same calls give the same history.

mod cluster;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod hunts;

pub use cluster::Cluster;

use crate::chance::Chance;
use crate::engine::{EngineEvent, Lane};
use crate::peer::Peer;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How bad the network is. By default it is good.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A frame takes up to this long. Those of one lane keep their order all the same, while the connection lasts.
    pub delay_max: Duration,
    /// One frame in so many is lost without a word; none when 0.
    pub lose_one_in: u64,
    /// One frame in so many comes twice; none when 0.
    pub double_one_in: u64,
    /// Of the frames under way when a connection breaks, one in so many comes after it has come back, in any order; the
    /// others are lost.
    pub late_one_in: u64,
    /// One break in so many is told to nobody, and neither is the end of it; none when 0.
    pub silent_one_in: u64,
}

/// Two peers, the smaller one first.
type Pair = (Peer, Peer);

fn pair(a: Peer, b: Peer) -> Pair {
    (a.min(b), a.max(b))
}

/// A network between peers, with what is under way in it.
#[derive(Debug)]
pub struct Sim {
    chance: Chance,
    faults: Faults,
    /// By when it comes; the second number keeps the order of what comes at once.
    under_way: BTreeMap<(Duration, u64), Delivery>,
    deliveries: u64,
    living: BTreeSet<Peer>,
    /// What has come for those who do not run.
    frozen: BTreeMap<Peer, Vec<EngineEvent>>,
    /// Pairs without a connection; whether the two know.
    cuts: BTreeMap<Pair, Told>,
    /// Frames that come when the connection is back.
    late: BTreeMap<Pair, Vec<Delivery>>,
    /// When the last thing comes that the next one must not overtake.
    last: BTreeMap<(Peer, Peer, Option<Lane>), Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Yes,
    No,
}

#[derive(Clone, Debug)]
struct Delivery {
    to: Peer,
    event: EngineEvent,
}

impl Delivery {
    /// Whose connection it is on.
    fn pair(&self) -> Option<Pair> {
        match &self.event {
            EngineEvent::Frame { from, .. } => Some(pair(*from, self.to)),
            EngineEvent::Up(_) | EngineEvent::Down(_) => None,
        }
    }
}

impl Sim {
    /// A network without peers.
    pub fn new(seed: u64, faults: Faults) -> Sim {
        Sim {
            chance: Chance::new(seed),
            faults,
            under_way: BTreeMap::new(),
            deliveries: 0,
            living: BTreeSet::new(),
            frozen: BTreeMap::new(),
            cuts: BTreeMap::new(),
            late: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }

    /// A process starts: it and the others learn of each other.
    pub fn add(&mut self, now: Duration, peer: Peer) {
        for other in std::mem::take(&mut self.living).into_iter().chain([peer]).collect::<Vec<_>>() {
            if other != peer {
                self.tell(now, other, EngineEvent::Up(peer));
                self.tell(now, peer, EngineEvent::Up(other));
            }
            self.living.insert(other);
        }
    }

    /// A process ends; some of the others may never be told.
    pub fn kill(&mut self, now: Duration, peer: Peer) {
        self.living.remove(&peer);
        self.frozen.remove(&peer);
        self.under_way.retain(|_, delivery| delivery.to != peer);
        self.late.retain(|pair, _| pair.0 != peer && pair.1 != peer);
        self.cuts.retain(|pair, _| pair.0 != peer && pair.1 != peer);
        for other in self.living.clone() {
            if !self.chance.one_in(self.faults.silent_one_in) {
                self.tell(now, other, EngineEvent::Down(peer));
            }
        }
    }

    /// A process does not run: what comes for it waits.
    pub fn freeze(&mut self, peer: Peer) {
        if self.living.contains(&peer) {
            self.frozen.entry(peer).or_default();
        }
    }

    /// It runs again.
    pub fn thaw(&mut self, now: Duration, peer: Peer) {
        for event in self.frozen.remove(&peer).into_iter().flatten() {
            self.schedule(now, Delivery { to: peer, event });
        }
    }

    /// Whether the process does not run.
    pub fn is_frozen(&self, peer: Peer) -> bool {
        self.frozen.contains_key(&peer)
    }

    /// Whether nothing gets from one to the other.
    pub fn is_cut(&self, a: Peer, b: Peer) -> bool {
        self.cuts.contains_key(&pair(a, b))
    }

    /// The connection between two breaks.
    pub fn cut(&mut self, now: Duration, a: Peer, b: Peer) {
        if self.is_cut(a, b) {
            return;
        }
        let cut = pair(a, b);
        let lost = self.under_way.extract_if(.., |_, delivery| delivery.pair() == Some(cut));
        let lost: Vec<Delivery> = lost.map(|(_, delivery)| delivery).collect();
        let late = lost.into_iter().filter(|_| self.chance.one_in(self.faults.late_one_in));
        let late: Vec<Delivery> = late.collect();
        self.late.entry(cut).or_default().extend(late);
        let is_silent = self.chance.one_in(self.faults.silent_one_in);
        self.cuts.insert(cut, if is_silent { Told::No } else { Told::Yes });
        if !is_silent {
            self.tell(now, a, EngineEvent::Down(b));
            self.tell(now, b, EngineEvent::Down(a));
        }
    }

    /// It comes back.
    pub fn heal(&mut self, now: Duration, a: Peer, b: Peer) {
        let Some(told) = self.cuts.remove(&pair(a, b)) else { return };
        for delivery in self.late.remove(&pair(a, b)).unwrap_or_default() {
            let at = now + self.delay() + self.delay();
            self.schedule(at, delivery);
        }
        if told == Told::Yes {
            self.tell(now, a, EngineEvent::Up(b));
            self.tell(now, b, EngineEvent::Up(a));
        }
    }

    /// A process gives a frame to its engine.
    pub fn send(&mut self, now: Duration, from: Peer, to: Peer, lane: Lane, frame: Vec<u8>) {
        let is_nowhere = !self.living.contains(&from) || !self.living.contains(&to) || self.is_cut(from, to);
        if is_nowhere || self.chance.one_in(self.faults.lose_one_in) {
            return;
        }
        let delivery = Delivery { to, event: EngineEvent::Frame { from, lane, frame } };
        if self.chance.one_in(self.faults.double_one_in) {
            let at = now + self.delay() + self.delay();
            self.schedule(at, delivery.clone());
        }
        let at = self.in_order(now, (from, to, Some(lane)));
        self.schedule(at, delivery);
    }

    /// When the next thing comes.
    pub fn next_at(&self) -> Option<Duration> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next thing that has come by now, and for whom.
    pub fn next(&mut self, now: Duration) -> Option<(Peer, EngineEvent)> {
        while self.next_at().is_some_and(|at| at <= now) {
            let (_, Delivery { to, event }) = self.under_way.pop_first().expect("just seen");
            match self.frozen.get_mut(&to) {
                Some(waiting) => waiting.push(event),
                None => return Some((to, event)),
            }
        }
        None
    }

    /// How many bytes of frames are under way from one to the other, or wait for it.
    pub fn load_bytes(&self, from: Peer, to: Peer) -> usize {
        let waiting = self.frozen.get(&to).into_iter().flatten();
        let coming =
            self.under_way.values().filter(|delivery| delivery.to == to).map(|delivery| &delivery.event);
        let bytes = |event: &EngineEvent| match event {
            EngineEvent::Frame { from: sender, frame, .. } if *sender == from => frame.len(),
            _ => 0,
        };
        waiting.chain(coming).map(bytes).sum()
    }

    fn tell(&mut self, now: Duration, to: Peer, event: EngineEvent) {
        let (EngineEvent::Up(of) | EngineEvent::Down(of)) = event else { unreachable!("frames are sent") };
        let at = self.in_order(now, (of, to, None));
        self.schedule(at, Delivery { to, event });
    }

    /// When something comes that starts now and does not overtake what is before it.
    fn in_order(&mut self, now: Duration, way: (Peer, Peer, Option<Lane>)) -> Duration {
        let at = now + self.delay();
        let last = self.last.entry(way).or_default();
        *last = at.max(*last);
        *last
    }

    fn delay(&mut self) -> Duration {
        Duration::from_nanos(self.chance.below(self.faults.delay_max.as_nanos() as u64 + 1))
    }

    fn schedule(&mut self, at: Duration, delivery: Delivery) {
        self.deliveries += 1;
        self.under_way.insert((at, self.deliveries), delivery);
    }
}
