//! The engine between threads of one process: for tests, and for looking at everything above without a network.

use crate::engine::{Engine, EngineError, EngineEvent, Inbox, Lane};
use crate::peer::Peer;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// What the engines of one process are plugged into. It never loses anything unless it is told to.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    board: Arc<Mutex<Board>>,
}

#[derive(Debug, Default)]
struct Board {
    ports: BTreeMap<Peer, Arc<Port>>,
    /// The smaller one of the two first.
    cuts: BTreeSet<(Peer, Peer)>,
}

/// Where things wait for one peer.
#[derive(Debug, Default)]
struct Port {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// Frames of the control lane, and words about peers.
    control: VecDeque<EngineEvent>,
    bulk: VecDeque<EngineEvent>,
    is_frozen: bool,
    is_over: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Queues are whole between any two statements, so a panic elsewhere does not matter.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pair(a: Peer, b: Peer) -> (Peer, Peer) {
    (a.min(b), a.max(b))
}

impl Hub {
    /// With nothing plugged in.
    pub fn new() -> Hub {
        Hub::default()
    }

    /// The engine of a peer.
    pub fn engine(&self, me: Peer) -> MemoryEngine {
        MemoryEngine { me, hub: self.clone(), port: Arc::default(), thread: Mutex::default() }
    }

    /// Breaks the connection between two. What is under way is lost.
    pub fn cut(&self, a: Peer, b: Peer) {
        let mut board = lock(&self.board);
        if board.cuts.insert(pair(a, b)) {
            for (me, other) in [(a, b), (b, a)] {
                let Some(port) = board.ports.get(&me) else { continue };
                let is_kept =
                    |event: &EngineEvent| !matches!(event, EngineEvent::Frame { from, .. } if *from == other);
                port.change(|queue| {
                    queue.control.retain(is_kept);
                    queue.bulk.retain(is_kept);
                    queue.control.push_back(EngineEvent::Down(other));
                });
            }
        }
    }

    /// Brings it back.
    pub fn heal(&self, a: Peer, b: Peer) {
        let mut board = lock(&self.board);
        if board.cuts.remove(&pair(a, b)) && board.ports.contains_key(&a) && board.ports.contains_key(&b) {
            board.ports[&a].push(EngineEvent::Up(b));
            board.ports[&b].push(EngineEvent::Up(a));
        }
    }

    /// A process gets nothing until it is thawed.
    pub fn freeze(&self, peer: Peer) {
        self.change(peer, |queue| queue.is_frozen = true);
    }

    /// It gets everything that came meanwhile.
    pub fn thaw(&self, peer: Peer) {
        self.change(peer, |queue| queue.is_frozen = false);
    }

    /// Pulls a process out, without a word of its own.
    pub fn unplug(&self, peer: Peer) {
        let mut board = lock(&self.board);
        let Some(port) = board.ports.remove(&peer) else { return };
        port.change(|queue| *queue = Queue { is_over: true, ..Queue::default() });
        for (other, port) in &board.ports {
            if !board.cuts.contains(&pair(*other, peer)) {
                port.push(EngineEvent::Down(peer));
            }
        }
    }

    /// How many bytes of frames wait for a peer.
    pub fn waiting_bytes(&self, peer: Peer) -> usize {
        let mut bytes = 0;
        self.change(peer, |queue| {
            let frames = queue.control.iter().chain(&queue.bulk);
            bytes = frames
                .map(|event| if let EngineEvent::Frame { frame, .. } = event { frame.len() } else { 0 })
                .sum();
        });
        bytes
    }

    fn change(&self, peer: Peer, change: impl FnOnce(&mut Queue)) {
        if let Some(port) = lock(&self.board).ports.get(&peer) {
            port.change(change);
        }
    }
}

impl Port {
    fn change(&self, change: impl FnOnce(&mut Queue)) {
        change(&mut lock(&self.queue));
        self.changed.notify_one();
    }

    fn push(&self, event: EngineEvent) {
        self.change(|queue| queue.control.push_back(event));
    }

    /// Waits for what comes next; nothing when it is over.
    fn next(&self) -> Option<EngineEvent> {
        let is_idle = |queue: &mut Queue| {
            !queue.is_over && (queue.is_frozen || queue.control.is_empty() && queue.bulk.is_empty())
        };
        let queue = self.changed.wait_while(lock(&self.queue), is_idle);
        let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
        queue.control.pop_front().or_else(|| queue.bulk.pop_front())
    }
}

/// The engine of one peer in a [`Hub`].
#[derive(Debug)]
pub struct MemoryEngine {
    me: Peer,
    hub: Hub,
    port: Arc<Port>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Engine for MemoryEngine {
    fn start(&self, inbox: Arc<dyn Inbox>) -> Result<(), EngineError> {
        let port = self.port.clone();
        let thread = thread::Builder::new().name(format!("memory {}", self.me)).spawn(move || {
            while let Some(event) = port.next() {
                inbox.on(event);
            }
        });
        let thread = thread.map_err(|cause| EngineError::because("cannot start a thread", cause))?;
        *lock(&self.thread) = Some(thread);
        let mut board = lock(&self.hub.board);
        for (other, port) in &board.ports {
            if !board.cuts.contains(&pair(*other, self.me)) {
                port.push(EngineEvent::Up(self.me));
                self.port.push(EngineEvent::Up(*other));
            }
        }
        board.ports.insert(self.me, self.port.clone());
        Ok(())
    }

    fn send(&self, to: Peer, lane: Lane, frame: Vec<u8>) {
        let board = lock(&self.hub.board);
        if board.cuts.contains(&pair(self.me, to)) || !board.ports.contains_key(&self.me) {
            return;
        }
        let event = EngineEvent::Frame { from: self.me, lane, frame };
        if let Some(port) = board.ports.get(&to) {
            port.change(|queue| match lane {
                Lane::Control => queue.control.push_back(event),
                Lane::Bulk => queue.bulk.push_back(event),
            });
        }
    }

    fn stop(&self) {
        self.hub.unplug(self.me);
        self.port.change(|queue| queue.is_over = true);
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            // It has panicked in the inbox, which has said so.
            thread.join().ok();
        }
    }
}
