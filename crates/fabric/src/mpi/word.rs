//! What ranks say to each other besides frames.

use crate::peer::Peer;
use serde::{Deserialize, Serialize};

/// One thing that a rank says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Word {
    /// From now on it is this peer.
    Is(Peer),
    /// It was this peer, and is nobody now.
    Was(Peer),
    /// What is not of the engine.
    Told(Vec<u8>),
}

impl Word {
    pub(super) fn write(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("there is memory for a word")
    }

    /// None when it is of another version of this program.
    pub(super) fn read(bytes: &[u8]) -> Option<Word> {
        postcard::from_bytes(bytes).ok()
    }
}
