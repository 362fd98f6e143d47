//! Brings a process back that has lost all its connections and is not brought back by Zenoh.
//!
//! Zenoh 1.10 notes down what a connection belongs to after it has opened it (`peers_connector_retry` in its
//! `orchestrator.rs`). One that breaks before that is never opened again: seen here after quick cuts, one in a few
//! hundred. So whoever has nothing for longer than Zenoh pauses between two attempts opens a session anew.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Three times the longest pause between two attempts of Zenoh.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest time between two sessions: the others may be gone for good.
const PATIENCE_MAX: Duration = Duration::from_secs(60);

/// Rings when a connection has come or gone.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<Rung>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Rung {
    #[default]
    No,
    Yes,
    /// Nobody needs to look any more.
    Over,
}

impl Bell {
    /// A connection has come or gone.
    pub(super) fn ring(&self) {
        self.set(Rung::Yes);
    }

    /// Ends the watch.
    pub(super) fn stop(&self) {
        self.set(Rung::Over);
    }

    fn set(&self, rung: Rung) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state != Rung::Over {
            *state = rung;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until it rings, or for so long. Whoever is told takes the ring away.
    fn wait(&self, time: Duration) -> Rung {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, time, |state| *state == Rung::No);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let seen = *state;
        if seen == Rung::Yes {
            *state = Rung::No;
        }
        seen
    }
}

/// Calls `reopen` when there has been no connection for long, until the bell is stopped.
pub(super) fn watch(bell: &Bell, is_alone: impl Fn() -> bool, reopen: impl Fn()) {
    let mut patience = PATIENCE;
    loop {
        let was_alone = is_alone();
        match bell.wait(if was_alone { patience } else { Duration::MAX }) {
            Rung::Over => return,
            Rung::Yes => {}
            Rung::No if is_alone() => {
                reopen();
                patience = (2 * patience).min(PATIENCE_MAX);
            }
            Rung::No => {}
        }
        if !was_alone {
            patience = PATIENCE;
        }
    }
}
