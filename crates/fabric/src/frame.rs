//! The bytes of a frame: a short head in postcard, and a body that the head explains.
//!
//! A head has a fixed largest size and holds no lengths, so reading one allocates nothing, whatever the bytes are.

use crate::engine::Lane;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a frame may weigh in all. Zenoh's batches hold 65,535 bytes, and its own heads come on top of ours.
pub const FRAME_BYTES_MAX: usize = 63 << 10;

/// What a frame may weigh while nobody has proved anything. A hello has 78 bytes.
pub const HANDSHAKE_BYTES_MAX: usize = 1 << 10;

/// No head is longer: the longest one has seven numbers of at most ten bytes.
pub const HEAD_BYTES_MAX: usize = 96;

/// What is left for the body.
pub const BODY_BYTES_MAX: usize = FRAME_BYTES_MAX - HEAD_BYTES_MAX;

/// The first bytes of every hello: whoever says something else there is no worker of Poniard.
pub const MAGIC: [u8; 8] = *b"poniard\x1a";

/// The version of everything that workers say to each other below the runtime.
pub const PROTOCOL: u32 = 1;

/// What a frame is. The order of the first three is for ever: another version must be able to read and to say them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Head {
    /// The first word. The body says the rest, in the words of that version.
    Hello(Protocol),
    /// Why there will be no link.
    Refusal(Refusal),
    /// What only an owner of the token can say to the other one's hello, with the nonce of who says it.
    Proof { nonce: [u8; 32], proof: [u8; 32] },
    /// There was a link, and it is over.
    Over { session: u64, why: Over },
    /// Between two who have proved themselves to each other.
    Link { session: u64, news: News, kind: Kind },
}

/// What the first bytes of a hello say: whether the two speak the same language at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// [`MAGIC`], of a worker of Poniard.
    pub magic: [u8; 8],
    /// [`PROTOCOL`], of this version.
    pub version: u32,
}

impl Protocol {
    /// What is spoken here.
    pub const OURS: Protocol = Protocol { magic: MAGIC, version: PROTOCOL };
}

/// Why a handshake failed, as it is told to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    Protocol(Protocol),
    Build([u8; 32]),
    Token,
}

/// Why a link is over, as it is told to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Over {
    /// The sender leaves.
    Left,
    /// The sender takes this life of the receiver for dead.
    Fenced,
}

/// What a receiver has got so far. All of it only grows, so that a late frame says nothing wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct News {
    /// The number of the next control frame that is wanted.
    pub(crate) control: u64,
    /// The number of the next piece of bulk that is wanted.
    pub(crate) bulk: u64,
    /// The first piece of bulk that may not be sent yet.
    pub(crate) bulk_limit: u64,
}

/// What a frame of a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// The news alone.
    News,
    /// A numbered frame of messages, or a piece of bulk.
    Data { lane: Lane, number: u64 },
    /// Asks what has come on the lane.
    Probe { lane: Lane, probe: u64 },
    /// The answer; the news say what has come.
    Answer { lane: Lane, probe: u64 },
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// They are too many.
    TooLarge {
        /// How many there are.
        bytes: usize,
        /// How many there may be.
        max: usize,
    },
    /// They do not begin with a head.
    Malformed,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::TooLarge { bytes, max } => {
                write!(f, "a frame has {bytes} bytes, at most {max} are allowed")
            }
            FrameError::Malformed => f.write_str("a frame has no readable head"),
        }
    }
}

impl std::error::Error for FrameError {}

impl Head {
    /// The frame of this head and body.
    pub(crate) fn frame(&self, body: &[u8]) -> Vec<u8> {
        let mut space = [0; HEAD_BYTES_MAX];
        let head = postcard::to_slice(self, &mut space).expect("no head is longer");
        let mut frame = Vec::with_capacity(head.len() + body.len());
        frame.extend_from_slice(head);
        frame.extend_from_slice(body);
        frame
    }

    /// Reads the head of a frame of at most `max` bytes, and returns it with the body.
    pub(crate) fn read(frame: &[u8], max: usize) -> Result<(Head, &[u8]), FrameError> {
        if frame.len() > max {
            return Err(FrameError::TooLarge { bytes: frame.len(), max });
        }
        postcard::take_from_bytes(frame).map_err(|_| FrameError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    fn heads() -> Vec<Head> {
        let news = News { control: u64::MAX, bulk: u64::MAX, bulk_limit: u64::MAX };
        let (lane, number, probe, session) = (Lane::Bulk, u64::MAX, u64::MAX, u64::MAX);
        vec![
            Head::Hello(Protocol { magic: MAGIC, version: u32::MAX }),
            Head::Refusal(Refusal::Protocol(Protocol { magic: MAGIC, version: u32::MAX })),
            Head::Refusal(Refusal::Build([255; 32])),
            Head::Refusal(Refusal::Token),
            Head::Proof { nonce: [255; 32], proof: [255; 32] },
            Head::Over { session, why: Over::Fenced },
            Head::Link { session, news, kind: Kind::News },
            Head::Link { session, news, kind: Kind::Data { lane, number } },
            Head::Link { session, news, kind: Kind::Probe { lane, probe } },
            Head::Link { session, news, kind: Kind::Answer { lane, probe } },
        ]
    }

    #[test]
    fn every_head_comes_back_with_its_body_and_is_short_enough() {
        for head in heads() {
            let frame = head.frame(b"body");
            assert!(frame.len() <= HEAD_BYTES_MAX + 4, "{head:?}");
            assert_eq!(Head::read(&frame, FRAME_BYTES_MAX), Ok((head, &b"body"[..])));
        }
    }

    #[test]
    fn a_hello_begins_with_the_same_bytes_in_every_version() {
        let frame = Head::Hello(Protocol::OURS).frame(&[]);
        assert_eq!(frame, *b"\0poniard\x1a\x01");
    }

    #[test]
    fn what_is_too_large_is_not_even_read() {
        let frame = vec![0; HANDSHAKE_BYTES_MAX + 1];
        let error = FrameError::TooLarge { bytes: HANDSHAKE_BYTES_MAX + 1, max: HANDSHAKE_BYTES_MAX };
        assert_eq!(Head::read(&frame, HANDSHAKE_BYTES_MAX), Err(error));
    }

    #[test]
    fn random_cut_and_flipped_bytes_are_read_or_refused_and_never_panic() {
        let mut chance = Chance::new(1);
        let mut refused = 0;
        for _ in 0..200_000 {
            let mut frame = match chance.one_in(2) {
                true => (0..chance.below(80)).map(|_| chance.below(256) as u8).collect(),
                false => chance.choose(&heads()).frame(b"xyz"),
            };
            for _ in 0..chance.below(4) {
                let bit = chance.below(8 * frame.len().max(1) as u64) as usize;
                frame.get_mut(bit / 8).into_iter().for_each(|byte| *byte ^= 1 << (bit % 8));
            }
            frame.truncate(chance.below(100) as usize);
            refused += u32::from(Head::read(&frame, FRAME_BYTES_MAX).is_err());
        }
        assert!(refused > 1_000, "{refused}");
    }
}
