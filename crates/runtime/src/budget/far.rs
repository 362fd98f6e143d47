//! Chunks that other processes have made, and have: what fetches them, and what is told when they are here.

#[cfg(feature = "cluster")]
use super::{Budget, Encoded, Error, Event};
use poniard_model::ChunkId;
#[cfg(feature = "cluster")]
use std::sync::Arc;
use std::sync::OnceLock;

/// What fetches chunks that other processes have made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Far {
    /// Has the chunk come: `Budget::fetched` follows, once.
    pub(crate) fetch: fn(ChunkId),
    /// Nobody here wants the chunk any more.
    pub(crate) release: fn(ChunkId),
    /// Why no chunk can be had; `None` while they can.
    pub(crate) why_out_of_reach: fn() -> Option<&'static str>,
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

pub(super) fn why_out_of_reach() -> Option<&'static str> {
    FAR.get().and_then(|far| (far.why_out_of_reach)())
}

#[cfg(feature = "cluster")]
impl Budget {
    /// A chunk that another process has made has come from there, or why it cannot be had.
    pub(crate) fn fetched(&self, chunk: ChunkId, value: Result<&Encoded, String>) {
        if !self.lock().is_remote(chunk) {
            return;
        }
        let outcome = match value {
            Ok(value) => self.restore(chunk, value),
            Err(how) => Err(Arc::new(Error::unfetched(chunk, &how))),
        };
        if outcome.is_ok() {
            self.lock().remote.insert(chunk, false);
        }
        self.tell(Event::ReadEnded { chunk, outcome });
    }

    /// A chunk that is fetched is to be made again first.
    pub(crate) fn stalled(&self, chunk: ChunkId) {
        self.tell(Event::Stalled(chunk));
    }
}
