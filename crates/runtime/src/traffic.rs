//! How many bytes of values went from this process to other workers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many bytes of values this process has given to other workers: arguments of tasks and their results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cluster", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes that were copied into messages.
    pub copied_bytes: u64,
    /// Bytes that the others read where they are, in the memory of this host.
    pub lent_bytes: u64,
    /// Bytes that workers of other hosts have read over connections of their own to this process.
    pub streamed_bytes: u64,
}

static COPIED: AtomicU64 = AtomicU64::new(0);
static LENT: AtomicU64 = AtomicU64::new(0);
static STREAMED: AtomicU64 = AtomicU64::new(0);

/// How many bytes of values this process, be it a worker's, has given to other workers since it began.
pub fn traffic() -> Traffic {
    Traffic {
        copied_bytes: COPIED.load(Relaxed),
        lent_bytes: LENT.load(Relaxed),
        streamed_bytes: STREAMED.load(Relaxed),
    }
}

#[cfg(feature = "cluster")]
pub(crate) fn count(copied_bytes: usize, lent_bytes: usize) {
    COPIED.fetch_add(copied_bytes as u64, Relaxed);
    LENT.fetch_add(lent_bytes as u64, Relaxed);
}

#[cfg(feature = "cluster")]
pub(crate) fn count_streamed(bytes: usize) {
    STREAMED.fetch_add(bytes as u64, Relaxed);
}
