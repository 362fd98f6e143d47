//! A node on an engine, with a clock and one thread: how the runtime talks to other workers.
//!
//! The node is behind one lock, which is held for its decisions alone. What it decides is done outside, in order, by one
//! thread at a time; whoever comes meanwhile leaves its part to that one:
//!
//! * frames go to the engine on the thread of whoever sends, or on the driver's: a wake costs more than a frame;
//! * events go to the sink on the engine's thread that brought the frame, or on the driver's, never on a sender's: that
//!   one may hold locks of its own;
//! * the driver looks after time: acknowledgements, gathered messages, probes, verdicts. It sleeps until the node's next
//!   deadline, and whoever makes that earlier wakes it.

#[cfg(test)]
mod tests;

use crate::engine::{Engine, EngineError, EngineEvent, Inbox, Lane};
use crate::entropy::entropy;
use crate::event::{Counts, Event, Unsent};
use crate::handshake::Identity;
use crate::link::Transfer;
use crate::member::State;
use crate::node::{Node, Out};
use crate::peer::Peer;
use crate::timing::Timing;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a sender goes on with frames of others before it leaves them to the driver.
const ROUNDS_MAX: usize = 4;

/// Who is told of what happens.
pub trait Sink: Send + Sync {
    /// Takes one event, in order, on a thread of the network. It must be quick: what comes next waits for it. It may
    /// send.
    fn on(&self, event: Event);
}

/// Who a process is in a network.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Its worker, and which of its lives: larger than that of any earlier one.
    pub me: Peer,
    /// What others must prove to it, and it to them.
    pub identity: Identity,
    /// How long things may take.
    pub timing: Timing,
    /// Whether no number has a second life: who comes under one that another has, or had, is not answered.
    pub is_one_life: bool,
}

/// This process among the others. Dropping it tells them that it leaves.
pub struct Network {
    shared: Arc<Shared>,
    driver: Option<JoinHandle<()>>,
}

struct Shared {
    engine: Arc<dyn Engine>,
    sink: Arc<dyn Sink>,
    began: Instant,
    core: Mutex<Core>,
    wake: Condvar,
}

struct Core {
    node: Node,
    frames: Vec<(Peer, Lane, Vec<u8>)>,
    events: Vec<Event>,
    renew: Vec<Peer>,
    /// Somebody gives frames to the engine, and takes along what others add.
    is_sending: bool,
    /// The same for events and the sink.
    is_telling: bool,
    /// Until when the driver sleeps, if it does and nobody has woken it.
    sleeps_until: Option<Duration>,
    is_over: bool,
}

impl Network {
    /// Starts the engine and the driver. From now on the sink is told of peers and messages.
    ///
    /// # Errors
    /// When the engine does not start, or the system gives no thread or no entropy.
    pub fn start(
        engine: Arc<dyn Engine>,
        config: NetworkConfig,
        sink: Arc<dyn Sink>,
    ) -> Result<Network, EngineError> {
        let entropy = entropy().map_err(|cause| EngineError::because("cannot read /dev/urandom", cause))?;
        let node = Node::new(config.me, config.identity, config.timing, entropy);
        let node = if config.is_one_life { node.with_one_life_each() } else { node };
        let core = Core {
            node,
            frames: Vec::new(),
            events: Vec::new(),
            renew: Vec::new(),
            is_sending: false,
            is_telling: false,
            sleeps_until: None,
            is_over: false,
        };
        let (core, wake) = (Mutex::new(core), Condvar::new());
        let shared = Arc::new(Shared { engine, sink, began: Instant::now(), core, wake });
        let driven = shared.clone();
        let driver = thread::Builder::new().name("network".to_owned()).spawn(move || driven.drive());
        let driver = driver.map_err(|cause| EngineError::because("cannot start a thread", cause))?;
        let network = Network { shared, driver: Some(driver) };
        network.shared.engine.start(Arc::new(Receiver(Arc::downgrade(&network.shared))))?;
        Ok(network)
    }

    /// Sends a message to a peer that has joined: it arrives once and in order, or the peer is gone. Never waits.
    ///
    /// It is addressed to one life of a worker: what was meant for one never reaches the next.
    ///
    /// # Errors
    /// When that life has not joined or is gone, or too much waits for it. The message comes back.
    pub fn send(&self, to: Peer, message: Vec<u8>) -> Result<(), Unsent<Vec<u8>>> {
        self.act(|node, now, out| node.send(now, to, message, out))
    }

    /// Sends data to a peer that has joined, in pieces and beside the messages. Never waits.
    ///
    /// # Errors
    /// When that life has not joined or is gone, or too many transfers wait for it. The transfer comes back.
    pub fn send_bulk(&self, to: Peer, transfer: Transfer) -> Result<(), Unsent<Transfer>> {
        self.act(|node, now, out| node.send_bulk(now, to, transfer, out))
    }

    /// A piece of bulk is worked off, and its sender may send one more.
    ///
    /// # Panics
    /// When more is taken than came.
    pub fn taken(&self, from: Peer) {
        self.act(|node, now, _| node.taken(now, from));
    }

    /// It is known otherwise that the process of this peer has ended: it is gone at once.
    pub fn dismiss(&self, peer: Peer) {
        self.act(|node, now, out| node.dismiss(now, peer, out));
    }

    /// What is known of this life of a worker.
    pub fn state(&self, peer: Peer) -> Option<State> {
        self.shared.lock().node.state(peer)
    }

    /// What came and was dropped.
    pub fn counts(&self) -> Counts {
        self.shared.lock().node.counts()
    }

    fn act<T>(&self, act: impl FnOnce(&mut Node, Duration, &mut Out) -> T) -> T {
        let mut core = self.shared.lock();
        let result = core.decide(self.shared.began, act);
        let core = self.shared.send_frames(core);
        self.shared.wake_if_needed(core);
        result
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.act(|node, _, out| node.leave(out));
        self.shared.lock().is_over = true;
        self.shared.wake.notify_one();
        let driver = self.driver.take().expect("a network is dropped once");
        // The sink may hold the last handle, and be told by the driver right now.
        if driver.thread().id() != thread::current().id() {
            driver.join().ok();
        }
        self.shared.engine.stop();
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.lock().node.fmt(f)
    }
}

/// What the engine tells, told on. The engine must not keep the network.
struct Receiver(Weak<Shared>);

impl Inbox for Receiver {
    fn on(&self, event: EngineEvent) {
        let Some(shared) = self.0.upgrade() else { return };
        let mut core = shared.lock();
        core.decide(shared.began, |node, now, out| node.on_engine(now, event, out));
        // Frames are left to others: an engine's thread that waited for its own engine might wait for ever.
        let core = shared.tell(core);
        shared.wake_if_needed(core);
    }
}

impl Core {
    fn decide<T>(&mut self, began: Instant, act: impl FnOnce(&mut Node, Duration, &mut Out) -> T) -> T {
        let mut out = Out::default();
        let result = act(&mut self.node, began.elapsed(), &mut out);
        self.frames.append(&mut out.frames);
        self.events.append(&mut out.events);
        self.renew.append(&mut out.renew);
        result
    }

    /// Whether something is left to be done that nobody is about.
    fn is_due(&self) -> bool {
        (!self.frames.is_empty() && !self.is_sending) || (!self.events.is_empty() && !self.is_telling)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Core> {
        // Only `Node::taken` panics in here, before it changes anything.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send_frames<'a>(&'a self, mut core: MutexGuard<'a, Core>) -> MutexGuard<'a, Core> {
        if core.is_sending {
            return core;
        }
        for _ in 0..ROUNDS_MAX {
            if core.frames.is_empty() {
                break;
            }
            core.is_sending = true;
            let frames = std::mem::take(&mut core.frames);
            drop(core);
            for (to, lane, frame) in frames {
                self.engine.send(to, lane, frame);
            }
            core = self.lock();
            core.is_sending = false;
        }
        core
    }

    fn tell<'a>(&'a self, mut core: MutexGuard<'a, Core>) -> MutexGuard<'a, Core> {
        while !core.events.is_empty() && !core.is_telling {
            core.is_telling = true;
            let events = std::mem::take(&mut core.events);
            drop(core);
            events.into_iter().for_each(|event| self.sink.on(event));
            core = self.lock();
            core.is_telling = false;
        }
        core
    }

    /// Wakes the driver if it would sleep over something.
    fn wake_if_needed(&self, mut core: MutexGuard<'_, Core>) {
        let Some(until) = core.sleeps_until else { return };
        if core.is_due() || core.node.deadline().is_some_and(|deadline| deadline < until) {
            core.sleeps_until = None;
            drop(core);
            self.wake.notify_one();
        }
    }

    /// What the driver's thread does.
    fn drive(&self) {
        let mut core = self.lock();
        while !core.is_over {
            core.decide(self.began, |node, now, out| node.on_time(now, out));
            core = self.tell(self.send_frames(core));
            let renew = std::mem::take(&mut core.renew);
            if !renew.is_empty() {
                drop(core);
                renew.into_iter().for_each(|peer| self.engine.renew(peer));
                core = self.lock();
            }
            if core.is_due() || core.is_over {
                continue;
            }
            let until = core.node.deadline().unwrap_or(Duration::MAX);
            let time = until.saturating_sub(self.began.elapsed());
            if time.is_zero() {
                continue;
            }
            core.sleeps_until = Some(until);
            core = match self.wake.wait_timeout(core, time) {
                Ok((core, _)) => core,
                Err(poison) => poison.into_inner().0,
            };
            core.sleeps_until = None;
        }
    }
}
