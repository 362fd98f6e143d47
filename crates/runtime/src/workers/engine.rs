//! The engine that carries frames between the workers of one machine: Zenoh over Unix sockets in a private folder. All connect
//! to worker 1, which passes on what others send each other.

use poniard_fabric::zenoh::{Endpoint, Route, ZenohConfig, ZenohEngine};
use poniard_fabric::{Engine, Peer, Timing, Token};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The socket of worker 1.
const FIRST: &str = "w1";

/// That of worker 1.
pub(super) fn found(folder: &Path, token: [u8; 32], me: Peer, timing: Timing) -> Arc<dyn Engine> {
    let listen = vec![Endpoint::Socket(FIRST.to_owned())];
    Arc::new(ZenohEngine::new(ZenohConfig { listen, ..config(folder, token, me, Route::Router, timing) }))
}

/// That of another worker.
pub(super) fn join(folder: &Path, token: [u8; 32], me: Peer, timing: Timing) -> Arc<dyn Engine> {
    let connect = vec![Endpoint::Socket(FIRST.to_owned())];
    Arc::new(ZenohEngine::new(ZenohConfig {
        connect,
        ..config(folder, token, me, Route::ThroughRouter, timing)
    }))
}

/// A peer that is silent for this long is gone.
pub(super) fn timing(silence: Duration) -> Timing {
    // As in the default one, which is for 15 s.
    Timing { lease: silence / 3, grace: silence - silence / 3, ..Timing::DEFAULT }
}

fn config(folder: &Path, token: [u8; 32], me: Peer, route: Route, timing: Timing) -> ZenohConfig {
    ZenohConfig {
        me,
        cluster: "local".to_owned(),
        token: Token::new(token),
        route,
        listen: Vec::new(),
        connect: Vec::new(),
        lease: timing.lease,
        tls: None,
        folder: folder.to_owned(),
    }
}
