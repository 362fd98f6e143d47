//! How workers talk: messages that arrive exactly once and in order, and data in pieces beside them, or the word that
//! the other side is gone.
//!
//! * [`peer`]: one life of one worker; [`timing`]: how long things may take.
//! * [`engine`]: what carries frames, and may lose them. [`memory`] is one for threads of a process, [`sim`] one for
//!   virtual time and every fault; with the feature `zenoh` there is one for real processes, and with the feature `mpi`
//!   one for those that `mpirun` has started.
//! * [`frame`]: the bytes of a frame.
//! * [`handshake`], [`link`], [`member`]: who may talk, what makes losses good, who is alive. All pure.
//! * [`node`]: these three for all peers of a process, pure as well; [`event`]: what it tells.
//! * [`admission`]: how a process of another server asks to be let in; `tls`: the certificates for that (feature `zenoh`).
//! * [`network`]: a node on an engine with a thread and a clock: what the runtime uses. [`entropy`]: what nobody can
//!   foresee; [`chance`]: what a seed can.
//! * `conformance` (feature of that name): what every engine must pass.
#![forbid(unsafe_code)]

pub mod admission;
pub mod chance;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod engine;
pub mod entropy;
pub mod event;
pub mod frame;
pub mod handshake;
pub mod link;
pub mod member;
pub mod memory;
#[cfg(feature = "mpi")]
pub mod mpi;
pub mod network;
pub mod node;
pub mod peer;
#[cfg(test)]
#[path = "../../../tests/planted.rs"]
mod planted;
mod secret;
pub mod sim;
pub mod timing;
#[cfg(feature = "zenoh")]
pub mod tls;
#[cfg(feature = "zenoh")]
pub mod zenoh;

pub use engine::{Engine, EngineError, EngineEvent, Inbox, Lane};
pub use event::{Event, Unsent, Why};
pub use handshake::{Build, HandshakeError, Identity, Token};
pub use link::{Piece, Transfer};
pub use member::State;
pub use network::{Network, NetworkConfig, Sink};
pub use node::Node;
pub use peer::Peer;
pub use timing::Timing;
