//! The engine for real processes, on one host and on many: Zenoh.
//!
//! Of Zenoh it uses sessions over explicit endpoints, publishers and one subscriber for frames, and liveliness tokens for
//! who is up. No scouting, no gossip: who connects to whom is said by the runtime. What Zenoh loses when a link breaks the
//! link above makes good. Zenoh brings threads and a tokio runtime of its own; nothing of ours runs on them but inboxes.

mod settings;
#[cfg(test)]
mod tests;
mod tunnels;
mod watch;

pub use settings::{Endpoint, Route, ZenohConfig};

use crate::engine::{Engine, EngineError, EngineEvent, Inbox, Lane};
use crate::peer::Peer;
use poniard_model::WorkerId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use tunnels::Tunnels;
use watch::Watch;
use zenoh::Wait;
use zenoh::liveliness::LivelinessToken;
use zenoh::pubsub::Publisher;
use zenoh::qos::{CongestionControl, Priority};
use zenoh::sample::{Sample, SampleKind};
use zenoh::session::Session;

/// What control frames travel with. The queue for it holds four windows of the link.
const CONTROL_PRIORITY: Priority = Priority::RealTime;

/// What pieces of bulk travel with: behind everything else, in a queue of its own.
const BULK_PRIORITY: Priority = Priority::DataLow;

/// A process on Zenoh.
#[derive(Debug)]
pub struct ZenohEngine {
    shared: Arc<Shared>,
    /// Keeps the watch; there is none for who waits for others to connect.
    watcher: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    config: ZenohConfig,
    /// Those that the session goes through. They outlive it: another may be opened.
    tunnels: Mutex<Tunnels>,
    running: Mutex<Option<Running>>,
    publishers: Arc<Mutex<Publishers>>,
    watch: Arc<Watch>,
}

type Publishers = HashMap<(Peer, Lane), Arc<Publisher<'static>>>;

#[derive(Debug)]
struct Running {
    session: Session,
    /// While it is there others see that we are.
    _token: LivelinessToken,
}

impl ZenohEngine {
    /// An engine that is to be started.
    pub fn new(config: ZenohConfig) -> ZenohEngine {
        let (tunnels, running, publishers, watch) = Default::default();
        ZenohEngine {
            shared: Arc::new(Shared { config, tunnels, running, publishers, watch }),
            watcher: Mutex::default(),
        }
    }
}

impl Engine for ZenohEngine {
    fn start(&self, inbox: Arc<dyn Inbox>) -> Result<(), EngineError> {
        *lock(&self.shared.tunnels) = Tunnels::open(&self.shared.config)?;
        self.shared.open(&inbox)?;
        if self.shared.config.connect.is_empty() {
            return Ok(());
        }
        let shared = self.shared.clone();
        let keep = move || shared.watch.keep(shared.config.lease, || shared.reopen(&inbox));
        let watcher = thread::Builder::new().name("zenoh watch".to_owned()).spawn(keep);
        let watcher = watcher.map_err(|cause| EngineError::because("cannot start a thread", cause))?;
        *lock(&self.watcher) = Some(watcher);
        Ok(())
    }

    fn send(&self, to: Peer, lane: Lane, frame: Vec<u8>) {
        if let Some(publisher) = self.shared.publisher(to, lane)
            && publisher.put(frame).wait().is_err()
        {
            // The frame is lost, as others are without a word. The publisher may be of a session that is closed.
            lock(&self.shared.publishers).remove(&(to, lane));
        }
    }

    fn renew(&self, _: Peer) {
        self.shared.watch.want();
    }

    fn stop(&self) {
        self.shared.watch.stop();
        if let Some(watcher) = lock(&self.watcher).take() {
            watcher.join().ok();
        }
        self.shared.close();
        drop(std::mem::take(&mut *lock(&self.shared.tunnels)));
    }
}

impl Shared {
    fn open(&self, inbox: &Arc<dyn Inbox>) -> Result<(), EngineError> {
        let settings = self.config.settings(&lock(&self.tunnels))?;
        let because = |cause| EngineError::because(format!("cannot open {:?}", self.config), cause);
        let session = zenoh::open(settings.config).wait().map_err(because)?;
        drop(settings.dictionary);
        let token = self.declare(&session, inbox).map_err(because)?;
        *lock(&self.running) = Some(Running { session, _token: token });
        Ok(())
    }

    fn close(&self) {
        let running = lock(&self.running).take();
        let publishers = std::mem::take(&mut *lock(&self.publishers));
        if let Some(Running { session, .. }) = running {
            // It fails when it is closed already.
            session.close().wait().ok();
        }
        drop(publishers);
    }

    fn reopen(&self, inbox: &Arc<dyn Inbox>) {
        self.close();
        // If it fails it is tried again, like every time when there is no connection.
        self.open(inbox).ok();
    }

    /// Declares what others send to: first the place for frames, since whoever sees the token may send at once.
    fn declare(&self, session: &Session, inbox: &Arc<dyn Inbox>) -> zenoh::Result<LivelinessToken> {
        let (me, root) = (self.config.me, self.config.root());
        let (told, watch) = (inbox.clone(), self.watch.clone());
        let on_frame = move |sample: Sample| {
            let Some(from) = peer_at_end(sample.key_expr().as_str()) else { return };
            watch.heard();
            let lane = if sample.priority() == CONTROL_PRIORITY { Lane::Control } else { Lane::Bulk };
            let frame = sample.payload().to_bytes().into_owned();
            told.on(EngineEvent::Frame { from, lane, frame });
        };
        let mine = format!("{root}/to/{}/*/*", name(me));
        session.declare_subscriber(mine).callback(on_frame).background().wait()?;
        let (told, publishers) = (inbox.clone(), self.publishers.clone());
        let on_life = move |sample: Sample| {
            let Some(peer) = peer_at_end(sample.key_expr().as_str()).filter(|peer| *peer != me) else {
                return;
            };
            if sample.kind() == SampleKind::Put {
                return told.on(EngineEvent::Up(peer));
            }
            // They are declared anew if it comes back, and most do not.
            let old = [Lane::Control, Lane::Bulk].map(|lane| lock(&publishers).remove(&(peer, lane)));
            told.on(EngineEvent::Down(peer));
            drop(old);
        };
        let all = format!("{root}/live/*/*");
        session.liveliness().declare_subscriber(all).history(true).callback(on_life).background().wait()?;
        session.liveliness().declare_token(format!("{root}/live/{}", name(me))).wait()
    }

    /// The publisher to a peer, declared when it is wanted first; none when the engine does not run.
    fn publisher(&self, to: Peer, lane: Lane) -> Option<Arc<Publisher<'static>>> {
        if let Some(publisher) = lock(&self.publishers).get(&(to, lane)) {
            return Some(publisher.clone());
        }
        let session = lock(&self.running).as_ref()?.session.clone();
        let key = format!("{}/to/{}/{}", self.config.root(), name(to), name(self.config.me));
        let publisher = session.declare_publisher(key).congestion_control(CongestionControl::Block);
        let publisher = match lane {
            Lane::Control => publisher.priority(CONTROL_PRIORITY).express(true),
            Lane::Bulk => publisher.priority(BULK_PRIORITY),
        };
        // It fails when the session is closed: then the frame is lost like others.
        let publisher = Arc::new(publisher.wait().ok()?);
        lock(&self.publishers).insert((to, lane), publisher.clone());
        Some(publisher)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind our locks is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A peer as two parts of a key.
fn name(peer: Peer) -> String {
    format!("{}/{:x}", peer.worker.0, peer.incarnation)
}

/// The peer whose name ends the key.
fn peer_at_end(key: &str) -> Option<Peer> {
    let mut parts = key.rsplit('/');
    let incarnation = u64::from_str_radix(parts.next()?, 16).ok()?;
    Some(Peer { worker: WorkerId(parts.next()?.parse().ok()?), incarnation })
}
