//! The same worlds on a network that loses, doubles and delays frames and breaks, through the link that real processes use.

use super::machine::Machine;
use super::random::Random;
use super::world::{Happening, World};
use super::{MS, SECOND, seeds, some_world, whatever_happens_in};
use crate::life::Life;
use crate::message::Message;
use poniard_fabric::event::Event as Told;
use poniard_fabric::handshake::{Build, Identity, Token};
use poniard_fabric::sim::{Cluster, Faults};
use poniard_fabric::{Peer, Timing};
use poniard_model::WorkerId;
use std::time::Duration;

/// A cut, a stop and a pause between two probes together, if one meets the other, are less than the link bears.
const TIMING: Timing =
    Timing { lease: Duration::from_secs(2), grace: Duration::from_secs(5), ..Timing::DEFAULT };

/// A cut that must cost nobody anything.
const CUT_NS: u64 = 2 * SECOND;

/// The links between all workers, and the network below.
pub(super) struct Wire {
    cluster: Cluster,
    /// What the messages say: frames carry their numbers.
    letters: Vec<Message>,
}

fn peer(life: Life) -> Peer {
    Peer { worker: life.worker, incarnation: u64::from(life.incarnation) }
}

fn life(peer: Peer) -> Life {
    Life { worker: peer.worker, incarnation: peer.incarnation as u32 }
}

impl Wire {
    pub(super) fn new(seed: u64) -> Wire {
        let mut random = Random(seed ^ 0x3333);
        let mut odds = |of: [u64; 4]| of[random.below(4) as usize];
        let faults = Faults {
            delay_max: Duration::from_micros(odds([50, 500, 5_000, 100_000])),
            lose_one_in: odds([0, 0, 100, 10]),
            double_one_in: odds([0, 20, 20, 5]),
            late_one_in: odds([0, 5, 2, 1]),
            silent_one_in: odds([0, 3, 3, 1]),
        };
        let identity = Identity { build: Build([1; 32]), token: Token::new([2; 32]) };
        Wire { cluster: Cluster::new(seed, faults, identity, TIMING), letters: Vec::new() }
    }

    pub(super) fn start(&mut self, who: Life) {
        self.cluster.start(peer(who));
    }

    pub(super) fn end(&mut self, who: Life) {
        self.cluster.kill(peer(who));
    }

    pub(super) fn freeze(&mut self, who: Life) {
        self.cluster.sim.freeze(peer(who));
    }

    pub(super) fn thaw(&mut self, who: Life) {
        self.cluster.sim.thaw(self.cluster.now(), peer(who));
    }

    pub(super) fn send(&mut self, from: Life, to: Life, message: Message) {
        let number = self.letters.len() as u64;
        self.letters.push(message);
        // Whoever is gone gets nothing, and its sender is told.
        self.cluster.send(peer(from), peer(to), number.to_le_bytes().to_vec()).ok();
    }

    /// The cable of a worker is pulled, or plugged in again.
    fn cable(&mut self, who: Life, is_cut: bool) {
        let now = self.cluster.now();
        for other in self.cluster.peers().into_iter().filter(|other| *other != peer(who)) {
            match is_cut {
                true => self.cluster.sim.cut(now, peer(who), other),
                false => self.cluster.sim.heal(now, peer(who), other),
            }
        }
    }

    /// Goes on until something has happened or it is so late. Gives the time, and what has happened to whom.
    fn step(&mut self, until: Duration) -> (Duration, Vec<(Peer, Told)>) {
        loop {
            let goes_on = self.cluster.step(until);
            let events = self.cluster.take_events();
            if !events.is_empty() || !goes_on {
                return (self.cluster.now(), events);
            }
        }
    }
}

impl World {
    /// Lets the network go on until then, unless it has something to tell; gives whether it has.
    pub(super) fn wire_tells(&mut self, until: u64) -> bool {
        let Some(wire) = &mut self.wire else { return false };
        let (now, events) = wire.step(Duration::from_nanos(until));
        self.now = now.as_nanos() as u64;
        let has_told = !events.is_empty();
        for (at, told) in events {
            self.wired(life(at), told);
        }
        has_told
    }

    fn wired(&mut self, at: Life, told: Told) {
        match told {
            Told::Joined { peer } => self.happen(Happening::JoinedAt { at, who: life(peer) }),
            Told::Message { from, bytes } => {
                let number = u64::from_le_bytes(bytes.try_into().expect("a number was sent"));
                let message = self.wire.as_ref().expect("it tells").letters[number as usize].clone();
                self.happen(Happening::Deliver { to: at, from: life(from), message });
            }
            Told::Gone { peer, why } => {
                let who = life(peer);
                assert!(self.over.contains(&who), "{at} takes {who} for gone: {why}");
                self.happen(Happening::GoneAt { at, who, signal: self.signals.get(&who).copied() });
            }
            Told::Bulk { .. } | Told::Refused { .. } => panic!("{at} is told {told:?}"),
        }
    }

    /// A worker cannot be reached for a while.
    pub(super) fn cut(&mut self, worker: WorkerId) {
        let (Some(machine), Some(wire)) = (self.machines.get(&worker), &mut self.wire) else { return };
        let who = machine.life;
        wire.cable(who, true);
        self.at(self.now + CUT_NS, Happening::Heal { who });
    }

    pub(super) fn heal(&mut self, who: Life) {
        if let Some(wire) = &mut self.wire {
            wire.cable(who, false);
        }
    }

    /// Until the workers have met, however bad the network is.
    pub(super) fn until_met(&mut self) {
        let others = self.machines.len() - 1;
        let knows_all = |machine: &Machine| machine.scheduler.status().peers.len() == others;
        while !self.machines.values().all(knows_all) {
            assert!(self.step() && self.now < 60 * SECOND, "they do not meet");
        }
    }
}

fn play(seed: u64) -> World {
    let mut world = some_world(seed, Some(Wire::new(seed)));
    let mut random = Random(seed ^ 0xc07);
    if random.chance(75) {
        // Soon, most often: that is when something goes on.
        let within = if random.chance(70) { 100 * MS } else { 5 * SECOND };
        let at = world.now + random.below(within);
        world.at(at, Happening::Cut { worker: WorkerId(1 + random.below(5) as u32) });
    }
    world.run();
    world
}

#[test]
fn whatever_happens_on_a_bad_network_each_task_ends_once_and_rightly() {
    let sums = whatever_happens_in("whatever_happens_on", seeds(0..1_000), play);
    // What the link does not let through.
    sums.assert_all_happened_but(&["stale", "repeated"]);
}
