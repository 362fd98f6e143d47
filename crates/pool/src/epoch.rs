//! Epochs: the times between two halts.
//!
//! A task belongs to the epoch in which it was spawned (launched, if it was held), or to that of the task that spawned it. A halt begins a new one: tasks
//! of earlier epochs fail wherever they turn up, and later ones are not touched.

use std::sync::atomic::{AtomicU64, Ordering};

static HALTS: AtomicU64 = AtomicU64::new(0);

/// The number of an epoch, as far as a task keeps it. After 256 halts a number comes again; only what a body that
/// runs on, or a held task, has kept through all of them could be taken for a task of that epoch.
pub(crate) type Epoch = u8;

/// The epoch that is now.
#[inline]
pub(crate) fn now() -> Epoch {
    // Relaxed: a thread that sees a halt late is as one that was faster than the halt.
    HALTS.load(Ordering::Relaxed) as Epoch
}

/// Begins a new epoch.
pub(crate) fn advance() {
    HALTS.fetch_add(1, Ordering::SeqCst);
}
