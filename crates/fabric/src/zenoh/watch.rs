//! Brings a process back that hears nobody, when Zenoh does not.
//!
//! Zenoh 1.10 notes down what a connection belongs to after it has opened it (`peers_connector_retry` in its
//! `orchestrator.rs`), so one that breaks before that is never opened again. Under quick cuts and load about one
//! in a hundred processes stayed alone like this, or with a connection over which nothing came. Whoever has a link
//! is told something four times in a lease; so who hears nobody at all for a lease opens a session anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The longest time between two sessions: the others may be gone for good.
const PATIENCE_MAX: Duration = Duration::from_secs(60);

/// Whether anything comes.
#[derive(Debug, Default)]
pub(super) struct Watch {
    was_heard: AtomicBool,
    is_over: Mutex<bool>,
    changed: Condvar,
}

impl Watch {
    /// A frame came.
    pub(super) fn heard(&self) {
        // Relaxed: it orders nothing, and when it is seen does not matter much.
        self.was_heard.store(true, Ordering::Relaxed);
    }

    /// Ends the watch.
    pub(super) fn stop(&self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Calls `reopen` when nothing has come for a lease, then after twice that, and so on, until the watch is stopped.
    pub(super) fn keep(&self, lease: Duration, reopen: impl Fn()) {
        let mut patience = lease;
        while !self.is_over_within(patience) {
            if self.was_heard.swap(false, Ordering::Relaxed) {
                patience = lease;
            } else {
                reopen();
                patience = (2 * patience).min(PATIENCE_MAX.max(lease));
            }
        }
    }

    fn is_over_within(&self, time: Duration) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(is_over, time, |is_over| !*is_over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
