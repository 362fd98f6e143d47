//! The suite's stage on the simulator.

use super::Stage;
use crate::event::{Event, Unsent};
use crate::handshake::Identity;
use crate::link::Transfer;
use crate::peer::Peer;
use crate::sim::{Cluster, Faults};
use crate::timing::Timing;
use std::collections::VecDeque;
use std::time::Duration;

/// Nothing that a law waits for takes longer, in virtual time.
const PATIENCE: Duration = Duration::from_secs(1_000);

/// A simulated cluster, and what has happened in it and was not looked at.
#[derive(Debug)]
pub struct VirtualStage {
    cluster: Cluster,
    events: VecDeque<(Peer, Event)>,
}

impl VirtualStage {
    /// A stage with these times and faults.
    pub fn new(seed: u64, faults: Faults, timing: Timing) -> VirtualStage {
        VirtualStage {
            cluster: Cluster::new(seed, faults, super::identity(), timing),
            events: VecDeque::new(),
        }
    }
}

impl Stage for VirtualStage {
    fn start(&mut self, peer: Peer, identity: Identity) {
        self.cluster.start_as(peer, identity);
    }

    fn kill(&mut self, peer: Peer) {
        self.cluster.kill(peer);
    }

    fn leave(&mut self, peer: Peer) {
        self.cluster.leave(peer);
    }

    fn send(&mut self, from: Peer, to: Peer, message: Vec<u8>) -> Result<(), Unsent<Vec<u8>>> {
        self.cluster.send(from, to, message)
    }

    fn send_bulk(&mut self, from: Peer, to: Peer, transfer: Transfer) -> Result<(), Unsent<Transfer>> {
        self.cluster.send_bulk(from, to, transfer)
    }

    fn taken(&mut self, me: Peer, from: Peer) {
        self.cluster.taken(me, from);
    }

    fn cut(&mut self, a: Peer, b: Peer) {
        self.cluster.sim.cut(self.cluster.now(), a, b);
    }

    fn heal(&mut self, a: Peer, b: Peer) {
        self.cluster.sim.heal(self.cluster.now(), a, b);
    }

    fn freeze(&mut self, peer: Peer) {
        self.cluster.sim.freeze(peer);
    }

    fn thaw(&mut self, peer: Peer) {
        self.cluster.sim.thaw(self.cluster.now(), peer);
    }

    fn next(&mut self) -> (Peer, Event) {
        let until = self.cluster.now() + PATIENCE;
        loop {
            self.events.extend(self.cluster.take_events());
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            assert!(self.cluster.step(until), "nothing has happened for long: {self:?}");
        }
    }
}
