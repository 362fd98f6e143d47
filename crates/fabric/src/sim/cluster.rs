//! Processes on a simulated network, in virtual time.

use super::{Faults, Sim};
use crate::event::{Event, Unsent};
use crate::handshake::Identity;
use crate::link::Transfer;
use crate::node::{Node, Out};
use crate::peer::Peer;
use crate::timing::Timing;
use std::collections::BTreeMap;
use std::time::Duration;

/// Several processes, the network between them, and the time.
#[derive(Debug)]
pub struct Cluster {
    now: Duration,
    /// The network.
    pub sim: Sim,
    identity: Identity,
    timing: Timing,
    nodes: BTreeMap<Peer, Node>,
    events: Vec<(Peer, Event)>,
}

impl Cluster {
    /// Without processes.
    pub fn new(seed: u64, faults: Faults, identity: Identity, timing: Timing) -> Cluster {
        let (nodes, events) = (BTreeMap::new(), Vec::new());
        Cluster { now: Duration::ZERO, sim: Sim::new(seed, faults), identity, timing, nodes, events }
    }

    /// The time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Those who live, in order.
    pub fn peers(&self) -> Vec<Peer> {
        self.nodes.keys().copied().collect()
    }

    /// What a process knows.
    pub fn node(&self, peer: Peer) -> Option<&Node> {
        self.nodes.get(&peer)
    }

    /// A process starts.
    pub fn start(&mut self, peer: Peer) {
        self.start_as(peer, self.identity.clone());
    }

    /// A process starts that may be none of ours.
    pub fn start_as(&mut self, peer: Peer, identity: Identity) {
        let entropy = *blake3::hash(format!("{peer}").as_bytes()).as_bytes();
        self.nodes.insert(peer, Node::new(peer, identity, self.timing, entropy));
        self.sim.add(self.now, peer);
    }

    /// A process ends without a word.
    pub fn kill(&mut self, peer: Peer) {
        self.nodes.remove(&peer);
        self.sim.kill(self.now, peer);
    }

    /// A process says that it leaves, and ends.
    pub fn leave(&mut self, peer: Peer) {
        let mut out = Out::default();
        self.nodes.get(&peer).into_iter().for_each(|node| node.leave(&mut out));
        self.obey(peer, out);
        self.nodes.remove(&peer);
    }

    /// A process sends a message.
    ///
    /// # Errors
    /// As [`Node::send`].
    pub fn send(&mut self, from: Peer, to: Peer, message: Vec<u8>) -> Result<(), Unsent<Vec<u8>>> {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&from) else { return Err(Unsent::NotJoined(message)) };
        let mut out = Out::default();
        let result = node.send(now, to, message, &mut out);
        self.obey(from, out);
        result
    }

    /// A process sends data.
    ///
    /// # Errors
    /// As [`Node::send_bulk`].
    pub fn send_bulk(&mut self, from: Peer, to: Peer, transfer: Transfer) -> Result<(), Unsent<Transfer>> {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&from) else { return Err(Unsent::NotJoined(transfer)) };
        let mut out = Out::default();
        let result = node.send_bulk(now, to, transfer, &mut out);
        self.obey(from, out);
        result
    }

    /// A process has worked off a piece.
    pub fn taken(&mut self, me: Peer, from: Peer) {
        if let Some(node) = self.nodes.get_mut(&me) {
            node.taken(self.now, from);
        }
    }

    /// The next thing happens, if one does until then. Else it is `until` now.
    pub fn step(&mut self, until: Duration) -> bool {
        let timers = self.nodes.iter().filter(|(peer, _)| !self.sim.is_frozen(**peer));
        let timer = timers.filter_map(|(peer, node)| Some((node.deadline()?, *peer))).min();
        let next_at = self.sim.next_at().into_iter().chain(timer.map(|(at, _)| at)).min();
        let Some(at) = next_at.filter(|at| *at <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(at);
        // Who has slept finds what came before it looks at the clock.
        if self.sim.next_at().is_some_and(|at| at <= self.now) {
            if let Some((to, event)) = self.sim.next(self.now) {
                self.act(to, |node, now, out| node.on_engine(now, event, out));
            }
        } else if let Some((_, peer)) = timer {
            self.act(peer, |node, now, out| node.on_time(now, out));
        }
        true
    }

    /// What has happened since this was asked last, and to whom.
    pub fn take_events(&mut self) -> Vec<(Peer, Event)> {
        std::mem::take(&mut self.events)
    }

    fn act(&mut self, peer: Peer, act: impl FnOnce(&mut Node, Duration, &mut Out)) {
        let Some(node) = self.nodes.get_mut(&peer) else { return };
        let mut out = Out::default();
        act(node, self.now, &mut out);
        node.check();
        self.obey(peer, out);
    }

    fn obey(&mut self, me: Peer, out: Out) {
        for (to, lane, frame) in out.frames {
            self.sim.send(self.now, me, to, lane, frame);
        }
        self.events.extend(out.events.into_iter().map(|event| (me, event)));
    }
}
