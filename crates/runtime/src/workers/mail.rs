//! Messages by the network: small ones one by one, large ones in pieces beside them.

use super::birth::Birth;
use super::driver::Input;
use super::engine::{self, Reach};
use super::inbox::tell;
use super::job::Job;
use super::post::Post;
use super::roll;
use crate::code::{SameBuild, build};
use crate::message::Message;
use poniard_fabric::network::{Network, NetworkConfig, Sink};
use poniard_fabric::{Build, Engine, Event, Identity, Peer, Piece, Timing, Token, Transfer, Unsent, Why};
use poniard_model::WorkerId;
use poniard_model::codec::SharedBytes;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Messages from so many bytes on go in pieces, so that small ones pass them.
const PIECES_BYTES_MIN: usize = 128 << 10;

/// The mail of one process.
pub(crate) struct Mail {
    /// `None` when it is closed. Locked while it starts: whoever answers what comes meanwhile waits for it.
    network: RwLock<Option<Network>>,
    /// The life of each worker that has joined.
    peers: Mutex<BTreeMap<WorkerId, Peer>>,
    /// Large messages that come, as far as they have.
    coming: Mutex<HashMap<(Peer, u64), Vec<u8>>>,
    /// Large messages for which there was no room yet.
    waiting: Mutex<VecDeque<(Peer, Transfer)>>,
    tags: AtomicU64,
}

/// A message that is sent in pieces.
struct Letter(Vec<u8>);

impl SharedBytes for Letter {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mail {
    /// Mail that is not open yet. Who opens it is ready to be told.
    pub(crate) fn new() -> Arc<Mail> {
        Arc::new(Mail {
            network: RwLock::new(None),
            peers: Mutex::default(),
            coming: Mutex::default(),
            waiting: Mutex::default(),
            tags: AtomicU64::new(0),
        })
    }

    /// Opens the mail of worker 1, which the others reach there.
    ///
    /// # Errors
    /// When the engine cannot be started there.
    pub(super) fn found(
        self: &Arc<Mail>,
        reach: Reach<'_>,
        token: [u8; 32],
        life: u64,
        timing: Timing,
    ) -> Result<(), String> {
        let me = Peer::new(WorkerId::FIRST, life);
        self.open(engine::found(reach, token, me, timing), token, me, timing)
    }

    /// Opens the mail of worker 1 in its job.
    ///
    /// # Errors
    /// When the engine cannot be started there.
    pub(super) fn found_in(
        self: &Arc<Mail>,
        job: &Job,
        token: [u8; 32],
        life: u64,
        timing: Timing,
    ) -> Result<(), String> {
        let me = Peer::new(WorkerId::FIRST, life);
        self.open(job.engine(me), token, me, timing)
    }

    /// Opens the mail of another worker.
    ///
    /// # Errors
    /// When the engine cannot be started there.
    pub(crate) fn join(self: &Arc<Mail>, birth: &Birth) -> Result<(), String> {
        let me = Peer::new(birth.number, birth.life);
        let timing = Timing::with_limit(birth.settings.worker_timeout);
        let engine = engine::join(&birth.place, birth.token, me, timing)?;
        self.open(engine, birth.token, me, timing)
    }

    fn open(
        self: &Arc<Mail>,
        engine: Arc<dyn Engine>,
        token: [u8; 32],
        me: Peer,
        timing: Timing,
    ) -> Result<(), String> {
        let identity = Identity { build: Build(build()), token: Token::new(token) };
        // Who is lost is replaced under another number.
        let config = NetworkConfig { me, identity, timing, is_one_life: true };
        let mut network = self.network.write().unwrap_or_else(PoisonError::into_inner);
        *network = Some(Network::start(engine, config, self.clone()).map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Tells the others that this process leaves, and sends and hears nothing more.
    pub(crate) fn close(&self) {
        let network = self.network.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(network);
    }

    /// Sends one message, without waiting for the worker.
    pub(crate) fn send(&self, to: WorkerId, message: Message) {
        self.deliver(to, message.encode());
    }

    /// The process of a worker has ended.
    pub(crate) fn dismiss(&self, worker: WorkerId) {
        if let Some(peer) = self.peer(worker) {
            self.with(|network| network.dismiss(peer));
        }
    }

    fn peer(&self, worker: WorkerId) -> Option<Peer> {
        locked(&self.peers).get(&worker).copied()
    }

    fn with<R>(&self, work: impl FnOnce(&Network) -> R) -> Option<R> {
        self.network.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(work)
    }

    fn send_in_pieces(&self, to: Peer, message: Vec<u8>) {
        let tag = self.tags.fetch_add(1, Ordering::Relaxed);
        locked(&self.waiting).push_back((to, Transfer { tag, bytes: Arc::new(Letter(message)) }));
        self.send_waiting();
    }

    /// Sends what waits, as far as there is room now.
    fn send_waiting(&self) {
        let mut waiting = locked(&self.waiting);
        while let Some((to, transfer)) = waiting.pop_front() {
            let sent = self.with(|network| network.send_bulk(to, transfer));
            if let Some(Err(Unsent::Full(transfer))) = sent {
                waiting.push_front((to, transfer));
                return;
            }
        }
    }

    /// A piece of a large message has come; gives the message when it is the last.
    fn gather(&self, from: Peer, piece: Piece) -> Option<Vec<u8>> {
        let (tag, is_last) = (piece.tag, piece.is_last());
        let mut coming = locked(&self.coming);
        let gathered = coming.entry((from, tag)).or_default();
        gathered.extend_from_slice(&piece.bytes);
        if is_last { coming.remove(&(from, tag)) } else { None }
    }
}

impl Post for Mail {
    fn deliver(&self, to: WorkerId, bytes: Vec<u8>) {
        // Whoever has not joined, or is gone, gets nothing: its tasks are taken back when that is told.
        let Some(peer) = self.peer(to) else { return };
        if bytes.len() >= PIECES_BYTES_MIN {
            return self.send_in_pieces(peer, bytes);
        }
        match self.with(|network| network.send(peer, bytes)) {
            Some(Err(Unsent::Full(bytes) | Unsent::TooLarge(bytes))) => self.send_in_pieces(peer, bytes),
            Some(Err(Unsent::NotJoined(_)) | Ok(())) | None => {}
        }
    }

    fn deliver_behind_large(&self, to: WorkerId, bytes: Vec<u8>) {
        if let Some(peer) = self.peer(to) {
            self.send_in_pieces(peer, bytes);
        }
    }
}

impl Sink for Mail {
    fn on(&self, event: Event) {
        let message = match event {
            Event::Joined { peer } => {
                locked(&self.peers).insert(peer.worker, peer);
                tell(Input::Joined(peer.worker, SameBuild::of_joined(peer)));
                None
            }
            Event::Message { from, bytes } => Some((from, bytes)),
            Event::Bulk { from, piece } => {
                let gathered = self.gather(from, piece);
                self.with(|network| network.taken(from));
                gathered.map(|bytes| (from, bytes))
            }
            Event::Gone { peer, why } => {
                locked(&self.peers).remove(&peer.worker);
                locked(&self.coming).retain(|(from, _), _| *from != peer);
                let is_cut_off = !matches!(why, Why::Left | Why::Dismissed);
                roll::part(peer.worker, &why.to_string());
                tell(Input::Gone { worker: peer.worker, signal: None, how: why.to_string(), is_cut_off });
                None
            }
            Event::Refused { peer, why } => {
                eprintln!("{} refuses {peer}: {why}", poniard_pool::me());
                None
            }
        };
        if let Some((from, letter)) = message {
            tell(Input::Letter(from.worker, letter));
        }
        if !locked(&self.waiting).is_empty() {
            self.send_waiting();
        }
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("peers", &self.peers).finish_non_exhaustive()
    }
}
