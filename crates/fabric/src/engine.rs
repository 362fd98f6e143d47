//! What carries frames between processes, and what may be expected of it.
//!
//! Little is expected: an engine may lose frames, deliver one twice or late when a connection has come back, and be wrong
//! about who is up. The link makes exactly once and in order of that. What it must do:
//!
//! * deliver the frames of one connection and lane in the order in which they were sent, where it delivers them (else
//!   nothing is lost, but much is sent twice);
//! * take frames without blocking while at most [`CONTROL_WINDOW_BYTES`](crate::link::CONTROL_WINDOW_BYTES) and
//!   [`BULK_WINDOW_PIECES`](crate::link::BULK_WINDOW_PIECES) frames of one peer lie in it, however long that peer is frozen;
//! * keep [`Lane::Control`] fast beside a full [`Lane::Bulk`].

use crate::peer::Peer;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// What a frame belongs to. Lanes have queues of their own, and no order between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// Small messages, and everything that keeps links going.
    Control,
    /// Pieces of large data.
    Bulk,
}

/// What an engine tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineEvent {
    /// The peer can be reached, for the first time or again.
    Up(Peer),
    /// The peer cannot be reached now: it is dead, frozen or cut off.
    Down(Peer),
    /// A frame came. Who has sent it is what the engine believes.
    Frame {
        /// Who has sent it.
        from: Peer,
        /// The lane that it came on.
        lane: Lane,
        /// Its bytes, of which nothing is known yet.
        frame: Vec<u8>,
    },
}

/// Who is told of what happens in an engine.
pub trait Inbox: Send + Sync {
    /// Takes one event, on a thread of the engine. Does not wait for anything, and does not call the engine.
    fn on(&self, event: EngineEvent);
}

/// A transport of bounded frames between peers, for one process.
pub trait Engine: Send + Sync {
    /// Begins to tell of peers and frames.
    ///
    /// # Errors
    /// When the engine cannot be reached by anybody.
    fn start(&self, inbox: Arc<dyn Inbox>) -> Result<(), EngineError>;

    /// Sends a frame, or loses it. Never waits for the peer.
    fn send(&self, to: Peer, lane: Lane, frame: Vec<u8>);

    /// The peer does not answer, though something may come of it. If a new connection might help, sees to that; does not
    /// wait for it.
    fn renew(&self, peer: Peer) {
        let _ = peer;
    }

    /// Tells others that this process leaves, and returns when nothing more is told to the inbox.
    fn stop(&self);
}

/// An engine could not be started.
#[derive(Debug)]
pub struct EngineError {
    what: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl EngineError {
    /// With what was tried, on what.
    pub fn new(what: impl Into<String>) -> EngineError {
        EngineError { what: what.into(), cause: None }
    }

    /// With what was tried, and why it failed.
    pub fn because(
        what: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> EngineError {
        EngineError { what: what.into(), cause: Some(cause.into()) }
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(cause) => write!(f, "{}: {cause}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for EngineError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
