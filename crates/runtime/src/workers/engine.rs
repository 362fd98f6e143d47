//! The engine that carries frames between workers: MPI, where `mpirun` has started them and this build has it; else Zenoh, over Unix sockets in a private folder on the machine of worker 1, and
//! over TCP or TLS from other servers. All connect to worker 1, which passes on what others send each other.

use super::birth::Place;
use super::job::job;
use poniard_fabric::tls::Tls;
use poniard_fabric::zenoh::{Endpoint, Route, ZenohConfig, ZenohEngine};
use poniard_fabric::{Engine, Peer, Timing, Token};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// The socket of worker 1.
pub(super) const FIRST: &str = "w1";

/// Where worker 1 listens for other servers.
#[derive(Clone, Debug)]
pub(super) struct Outside {
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Tls>,
}

/// Where worker 1 is to be found.
#[derive(Debug)]
pub(super) struct Reach<'a> {
    /// A private folder. It is needed while the engine starts, and for its socket.
    pub(super) folder: &'a Path,
    pub(super) has_socket: bool,
    pub(super) outside: Option<Outside>,
}

/// That of worker 1.
pub(super) fn found(reach: Reach<'_>, token: [u8; 32], me: Peer, timing: Timing) -> Arc<dyn Engine> {
    let mut config =
        ZenohConfig { folder: reach.folder.to_owned(), ..config(token, me, timing, Route::Router) };
    if reach.has_socket {
        config.listen.push(Endpoint::Socket(FIRST.to_owned()));
    }
    if let Some(Outside { address, tls }) = reach.outside {
        config.listen.push(endpoint(address.to_string(), &tls));
        config.tls = tls;
    }
    Arc::new(ZenohEngine::new(config))
}

/// That of another worker.
///
/// # Errors
/// When it was told that it is in a job, and is not.
pub(super) fn join(
    place: &Place,
    token: [u8; 32],
    me: Peer,
    timing: Timing,
) -> Result<Arc<dyn Engine>, String> {
    let mut config = config(token, me, timing, Route::ThroughRouter);
    match place {
        Place::Job => {
            let job = job().ok_or("worker 1 talks by MPI, and mpirun has not started this process")?;
            return Ok(job.engine(me));
        }
        Place::Here(folder) => {
            config.folder = folder.clone();
            config.connect.push(Endpoint::Socket(FIRST.to_owned()));
        }
        Place::Server { engine, tls } => {
            config.connect.push(endpoint(engine.clone(), tls));
            config.tls = tls.clone();
        }
    }
    Ok(Arc::new(ZenohEngine::new(config)))
}

fn endpoint(address: String, tls: &Option<Tls>) -> Endpoint {
    match tls {
        Some(_) => Endpoint::Tls(address),
        // On this host, or because somebody has asked for it.
        None => Endpoint::Open(address),
    }
}

fn config(token: [u8; 32], me: Peer, timing: Timing, route: Route) -> ZenohConfig {
    ZenohConfig {
        me,
        cluster: "local".to_owned(),
        token: Token::new(token),
        route,
        listen: Vec::new(),
        connect: Vec::new(),
        lease: timing.lease,
        tls: None,
        folder: Default::default(),
    }
}
