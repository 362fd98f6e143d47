//! What a process is told of its peers, and what it is told when something cannot be sent.

use crate::handshake::HandshakeError;
use crate::link::Piece;
use crate::peer::Peer;
use std::fmt;

/// What has happened. Of one peer: `Joined` first, then messages and pieces, then `Gone`, then nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer has proved itself, and messages can be sent to it.
    Joined {
        /// Which life of which worker.
        peer: Peer,
    },
    /// A message came: each comes once, in the order in which they were sent.
    Message {
        /// From whom.
        from: Peer,
        /// What was given to `send` there.
        bytes: Vec<u8>,
    },
    /// A piece of bulk came: each comes once, in order. Whoever has worked it off says so by `taken`.
    Bulk {
        /// From whom.
        from: Peer,
        /// The piece.
        piece: Piece,
    },
    /// This life of the worker is over. What it has not got it never gets, and nothing comes of it any more.
    Gone {
        /// Which life of which worker.
        peer: Peer,
        /// Why.
        why: Why,
    },
    /// There is a peer that must not join.
    Refused {
        /// What it calls itself.
        peer: Peer,
        /// Why.
        why: HandshakeError,
    },
}

/// Why a peer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was silent or out of reach for longer than the grace.
    Silent,
    /// It has said that it leaves.
    Left,
    /// It takes this process for dead, which must begin another life to talk to it again.
    TakenForDead,
    /// The worker has come back in another life.
    Replaced {
        /// Its incarnation.
        by: u64,
    },
    /// This process was told so.
    Dismissed,
    /// It sends what no worker sends.
    Misbehaved(&'static str),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Silent => f.write_str("it was out of reach for too long"),
            Why::Left => f.write_str("it has left"),
            Why::TakenForDead => f.write_str("it takes this process for dead"),
            Why::Replaced { by } => write!(f, "it has come back as incarnation {by:x}"),
            Why::Dismissed => f.write_str("its process has ended"),
            Why::Misbehaved(what) => write!(f, "it {what}"),
        }
    }
}

/// Why something was not sent, with what was to be sent.
#[derive(Clone, PartialEq, Eq)]
pub enum Unsent<T> {
    /// That life of the worker has not joined, or is gone.
    NotJoined(T),
    /// Too much waits for the peer already.
    Full(T),
    /// It is larger than a message may be, and must go as bulk.
    TooLarge(T),
}

impl<T> Unsent<T> {
    /// What was to be sent.
    pub fn into_inner(self) -> T {
        match self {
            Unsent::NotJoined(what) | Unsent::Full(what) | Unsent::TooLarge(what) => what,
        }
    }
}

impl<T> fmt::Display for Unsent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unsent::NotJoined(_) => "the worker has not joined, or is gone",
            Unsent::Full(_) => "too much waits for the worker already",
            Unsent::TooLarge(_) => "a message may have 16 MiB at most",
        })
    }
}

impl<T> fmt::Debug for Unsent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<T> std::error::Error for Unsent<T> {}

/// What came and was dropped, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// It was no frame, or too large for one.
    pub malformed: u64,
    /// Its sender has proved nothing, or not with this session.
    pub unproved: u64,
    /// Its sender is a life that is over.
    pub stale: u64,
    /// Its sender came under the number of another.
    pub claims: u64,
}
