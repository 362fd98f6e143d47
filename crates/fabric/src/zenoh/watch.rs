//! Brings a process back that reaches nobody, when Zenoh does not.
//!
//! Cut quickly and under load, Zenoh 1.10 leaves a process in one of two states for good, after about one cut in 600:
//!
//! * It is connected, hears the other one, and what it puts goes nowhere (seen in its logs, at level `debug`).
//! * It does not connect any more: it notes down what a connection is for after it has opened it (`peers_connector_retry`
//!   in its `orchestrator.rs`), so one that breaks before that is forgotten (by reading).
//!
//! A new session helps in both. Whoever has a link is told something four times in a lease, so who hears nobody for a
//! lease opens one; and so does who hears others, and is not answered by one of them ([`Watch::want`]).

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest time between two sessions of who hears nobody: the others may be gone for good.
const PATIENCE_MAX: Duration = Duration::from_secs(60);

/// Whether a new session is needed.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    was_heard: bool,
    is_wanted: bool,
    is_over: bool,
}

impl Watch {
    /// A frame came.
    pub(super) fn heard(&self) {
        self.lock().was_heard = true;
    }

    /// Somebody does not answer.
    pub(super) fn want(&self) {
        self.lock().is_wanted = true;
        self.changed.notify_all();
    }

    /// Ends the watch.
    pub(super) fn stop(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// Calls `reopen` when nothing has come for a lease, then after twice that, and so on, or when it is wanted, until the
    /// watch is stopped. Each session has a lease to come to something: on a slow network to open one takes seconds.
    pub(super) fn keep(&self, lease: Duration, reopen: impl Fn()) {
        let mut patience = lease;
        let mut opened: Option<Instant> = None;
        loop {
            let is_young = || opened.is_some_and(|opened| opened.elapsed() < lease);
            let is_idle = |seen: &mut Seen| !seen.is_over && (!seen.is_wanted || is_young());
            let waited = self.changed.wait_timeout_while(self.lock(), patience, is_idle);
            let (mut seen, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if seen.is_over {
                return;
            }
            let is_fine = seen.was_heard && !seen.is_wanted;
            let was_heard = seen.was_heard;
            (seen.was_heard, seen.is_wanted) = (false, false);
            drop(seen);
            if !is_fine {
                reopen();
                opened = Some(Instant::now());
            }
            patience = if was_heard { lease } else { (2 * patience).min(PATIENCE_MAX.max(lease)) };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread;

    #[test]
    fn a_session_is_opened_when_it_is_wanted_and_when_nothing_comes() {
        let lease = Duration::from_millis(20);
        let (watch, (sender, opened)) = (Watch::default(), channel());
        let next = || opened.recv_timeout(Duration::from_secs(60)).expect("a session is opened");
        thread::scope(|scope| {
            scope.spawn(|| watch.keep(lease, || sender.send(Instant::now()).unwrap()));
            // Nothing has come, and again nothing.
            next();
            let mut last = next();
            for _ in 0..3 {
                watch.heard();
                watch.want();
                let opened = next();
                assert!(opened - last >= lease, "the last one had no time to come to something");
                last = opened;
            }
            watch.stop();
        });
    }
}
