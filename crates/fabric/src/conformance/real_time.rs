//! The suite's stage for engines of which there may be several in a process.

use super::Stage;
use crate::engine::Engine;
use crate::event::{Event, Unsent};
use crate::handshake::Identity;
use crate::link::Transfer;
use crate::memory::Hub;
use crate::network::{Network, NetworkConfig, Sink};
use crate::peer::Peer;
use crate::timing::Timing;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Nothing that a law waits for takes longer, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// What engines run on, and what can happen to it.
pub trait Ground {
    /// The engine of a process.
    fn engine(&mut self, me: Peer) -> Arc<dyn Engine>;
    /// The process of this engine is no more.
    fn kill(&mut self, peer: Peer);
    /// The connection between two breaks.
    fn cut(&mut self, a: Peer, b: Peer);
    /// It comes back.
    fn heal(&mut self, a: Peer, b: Peer);
    /// Nothing reaches the process.
    fn freeze(&mut self, peer: Peer);
    /// It does again, with all that waited.
    fn thaw(&mut self, peer: Peer);
}

impl Ground for Hub {
    fn engine(&mut self, me: Peer) -> Arc<dyn Engine> {
        Arc::new(Hub::engine(self, me))
    }

    fn kill(&mut self, peer: Peer) {
        self.unplug(peer);
    }

    fn cut(&mut self, a: Peer, b: Peer) {
        Hub::cut(self, a, b);
    }

    fn heal(&mut self, a: Peer, b: Peer) {
        Hub::heal(self, a, b);
    }

    fn freeze(&mut self, peer: Peer) {
        Hub::freeze(self, peer);
    }

    fn thaw(&mut self, peer: Peer) {
        Hub::thaw(self, peer);
    }
}

/// Networks of this process on one ground.
pub struct RealStage<G> {
    /// They are taken down before the ground that they stand on.
    networks: BTreeMap<Peer, Network>,
    ground: G,
    timing: Timing,
    sender: Sender<(Peer, Event)>,
    events: Receiver<(Peer, Event)>,
}

impl<G> fmt::Debug for RealStage<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.networks).finish()
    }
}

/// Hands on what happens to one process.
struct Told(Peer, Sender<(Peer, Event)>);

impl Sink for Told {
    fn on(&self, event: Event) {
        // Nobody listens any more when the stage is taken down.
        self.1.send((self.0, event)).ok();
    }
}

impl<G: Ground> RealStage<G> {
    /// A stage with these times on this ground.
    pub fn new(ground: G, timing: Timing) -> RealStage<G> {
        let (sender, events) = channel();
        RealStage { ground, timing, networks: BTreeMap::new(), sender, events }
    }

    fn network(&self, peer: Peer) -> &Network {
        self.networks.get(&peer).expect("it has started, and has not ended")
    }
}

impl<G: Ground> Stage for RealStage<G> {
    fn start(&mut self, peer: Peer, identity: Identity) {
        let config = NetworkConfig { me: peer, identity, timing: self.timing, is_one_life: false };
        let sink = Arc::new(Told(peer, self.sender.clone()));
        let network = Network::start(self.ground.engine(peer), config, sink).expect("the engine starts");
        self.networks.insert(peer, network);
    }

    fn kill(&mut self, peer: Peer) {
        self.ground.kill(peer);
        self.networks.remove(&peer);
    }

    fn leave(&mut self, peer: Peer) {
        self.networks.remove(&peer);
    }

    fn send(&mut self, from: Peer, to: Peer, message: Vec<u8>) -> Result<(), Unsent<Vec<u8>>> {
        self.network(from).send(to, message)
    }

    fn send_bulk(&mut self, from: Peer, to: Peer, transfer: Transfer) -> Result<(), Unsent<Transfer>> {
        self.network(from).send_bulk(to, transfer)
    }

    fn taken(&mut self, me: Peer, from: Peer) {
        self.network(me).taken(from);
    }

    fn cut(&mut self, a: Peer, b: Peer) {
        self.ground.cut(a, b);
    }

    fn heal(&mut self, a: Peer, b: Peer) {
        self.ground.heal(a, b);
    }

    fn freeze(&mut self, peer: Peer) {
        self.ground.freeze(peer);
    }

    fn thaw(&mut self, peer: Peer) {
        self.ground.thaw(peer);
    }

    fn next(&mut self) -> (Peer, Event) {
        self.events
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("nothing has happened for long: {self:?}"))
    }
}
