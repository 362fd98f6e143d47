//! A rank that does what the stage tells it, and tells the stage what happens.

use crate::event::{Event, Unsent, Why};
use crate::handshake::{Build, HandshakeError, Identity, Token};
use crate::link::{Piece, Transfer};
use crate::mpi::Job;
use crate::network::{Network, NetworkConfig, Sink};
use crate::peer::Peer;
use crate::timing::Timing;
use poniard_model::codec::SharedBytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the stage says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Cue {
    /// Be this peer, of a build, with the token of these bytes.
    Start {
        me: Peer,
        build: [u8; 32],
        token: [u8; 32],
    },
    Leave,
    Send(Peer, Vec<u8>),
    SendBulk {
        to: Peer,
        tag: u64,
        bytes: Vec<u8>,
    },
    Taken(Peer),
    /// It is over.
    End,
}

/// What an actor says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Line {
    Happened(Peer, Told),
    /// It is this process, and has started.
    Runs(u32),
    Sent(Result<(), Refused>),
}

/// An event, in words that can travel.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    Joined(Peer),
    Message(Peer, Vec<u8>),
    Bulk {
        from: Peer,
        tag: u64,
        total: u64,
        offset: u64,
        bytes: Vec<u8>,
    },
    Left(Peer),
    WrongToken(Peer),
    WrongBuild {
        peer: Peer,
        ours: [u8; 32],
        theirs: [u8; 32],
    },
    /// What no law of these ranks makes happen.
    Else(String),
}

/// Why something was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Refused {
    NotJoined,
    Full,
    TooLarge,
}

impl Refused {
    pub(super) fn of<T>(unsent: &Unsent<T>) -> Refused {
        match unsent {
            Unsent::NotJoined(_) => Refused::NotJoined,
            Unsent::Full(_) => Refused::Full,
            Unsent::TooLarge(_) => Refused::TooLarge,
        }
    }

    pub(super) fn with<T>(self, what: T) -> Unsent<T> {
        match self {
            Refused::NotJoined => Unsent::NotJoined(what),
            Refused::Full => Unsent::Full(what),
            Refused::TooLarge => Unsent::TooLarge(what),
        }
    }
}

impl Told {
    fn of(event: Event) -> Told {
        match event {
            Event::Joined { peer } => Told::Joined(peer),
            Event::Message { from, bytes } => Told::Message(from, bytes),
            Event::Bulk { from, piece: Piece { tag, total, offset, bytes } } => {
                Told::Bulk { from, tag, total, offset, bytes }
            }
            Event::Gone { peer, why: Why::Left } => Told::Left(peer),
            Event::Refused { peer, why: HandshakeError::WrongToken } => Told::WrongToken(peer),
            Event::Refused { peer, why: HandshakeError::BuildMismatch { ours, theirs } } => {
                Told::WrongBuild { peer, ours: ours.0, theirs: theirs.0 }
            }
            other => Told::Else(format!("{other:?}")),
        }
    }

    pub(super) fn event(self) -> Event {
        match self {
            Told::Joined(peer) => Event::Joined { peer },
            Told::Message(from, bytes) => Event::Message { from, bytes },
            Told::Bulk { from, tag, total, offset, bytes } => {
                Event::Bulk { from, piece: Piece { tag, total, offset, bytes } }
            }
            Told::Left(peer) => Event::Gone { peer, why: Why::Left },
            Told::WrongToken(peer) => Event::Refused { peer, why: HandshakeError::WrongToken },
            Told::WrongBuild { peer, ours, theirs } => {
                let why = HandshakeError::BuildMismatch { ours: Build(ours), theirs: Build(theirs) };
                Event::Refused { peer, why }
            }
            Told::Else(what) => panic!("no law of these ranks makes {what} happen"),
        }
    }
}

pub(super) fn written(what: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(what).expect("there is memory for it")
}

pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> T {
    postcard::from_bytes(bytes).expect("all ranks run this test")
}

/// Tells the stage what happens to one process.
struct Reporter(Peer, Arc<Job>);

impl Sink for Reporter {
    fn on(&self, event: Event) {
        self.1.tell(0, written(&Line::Happened(self.0, Told::of(event))));
    }
}

struct Bytes(Vec<u8>);

impl SharedBytes for Bytes {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Does what the stage says, until it is over.
pub(super) fn act(job: Arc<Job>, timing: Timing) {
    let mut network: Option<Network> = None;
    let answer = |result: Result<(), Refused>| job.tell(0, written(&Line::Sent(result)));
    loop {
        let (_, cue) = job.hear();
        let running = || network.as_ref().expect("the stage has started it");
        match read(&cue) {
            Cue::Start { me, build, token } => {
                let identity = Identity { build: Build(build), token: Token::new(token) };
                let config = NetworkConfig { me, identity, timing, is_one_life: false };
                let sink = Arc::new(Reporter(me, job.clone()));
                let engine = Arc::new(job.engine(me));
                network = Some(Network::start(engine, config, sink).expect("the engine starts"));
                job.tell(0, written(&Line::Runs(std::process::id())));
            }
            Cue::Leave => network = None,
            Cue::Send(to, message) => {
                answer(running().send(to, message).map_err(|unsent| Refused::of(&unsent)));
            }
            Cue::SendBulk { to, tag, bytes } => {
                let transfer = Transfer { tag, bytes: Arc::new(Bytes(bytes)) };
                answer(running().send_bulk(to, transfer).map_err(|unsent| Refused::of(&unsent)));
            }
            Cue::Taken(from) => running().taken(from),
            Cue::End => return,
        }
    }
}
