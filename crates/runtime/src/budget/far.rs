//! Chunks that other processes have made, and have: what fetches them, and what is told when they are here.

use poniard_model::ChunkId;
use std::sync::OnceLock;

/// What fetches chunks that other processes have made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Far {
    /// Has the chunk come: `Budget::fetched` follows, once.
    pub(crate) fetch: fn(ChunkId),
    /// Nobody here wants the chunk any more.
    pub(crate) release: fn(ChunkId),
}

static FAR: OnceLock<Far> = OnceLock::new();

/// Says what fetches such chunks, for good; the first call counts.
#[cfg(feature = "cluster")]
pub(crate) fn set_far(far: Far) {
    let _ = FAR.set(far);
}

// Without that no other process makes any.

pub(super) fn fetch(chunk: ChunkId) {
    FAR.get().into_iter().for_each(|far| (far.fetch)(chunk));
}

pub(super) fn release(chunk: ChunkId) {
    FAR.get().into_iter().for_each(|far| (far.release)(chunk));
}

#[cfg(feature = "cluster")]
impl super::Budget {
    /// A chunk that another process has made has come from there, or why it cannot be had.
    pub(crate) fn fetched(&self, chunk: ChunkId, value: Result<&super::Encoded, String>) {
        if self.lock().remote.get(&chunk) != Some(&true) {
            return;
        }
        let outcome = match value {
            Ok(value) => self.restore(chunk, value),
            Err(how) => Err(std::sync::Arc::new(super::Error::unfetched(chunk, &how))),
        };
        if outcome.is_ok() {
            self.lock().remote.insert(chunk, false);
        }
        self.tell(super::Event::ReadEnded { chunk, outcome });
    }

    /// A chunk that is fetched is to be made again first.
    pub(crate) fn stalled(&self, chunk: ChunkId) {
        self.tell(super::Event::Stalled(chunk));
    }
}
