//! Workers that leave in order, because the user wants them to.

use super::launch::Workers;
use super::roll::{LaunchError, State};
use crate::message::Message;
use poniard_model::WorkerId;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

impl Workers {
    /// Has a worker leave, and waits until its process has ended.
    ///
    /// # Errors
    /// When there is no such worker, it ends otherwise, or not in time; it leaves all the same then.
    pub(super) fn remove(&self, worker: WorkerId, limit: Duration) -> Result<(), LaunchError> {
        let deadline = Instant::now() + limit;
        let mut state = self.shared.lock();
        let mut is_told = false;
        loop {
            if !state.running.contains_key(&worker) {
                return state.left(worker, is_told);
            }
            // Nothing reaches it before.
            if !is_told && state.has_joined(worker) {
                is_told = true;
                state.leaving.insert(worker);
                drop(state);
                self.mail.send(worker, Message::Leave);
                state = self.shared.lock();
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(LaunchError(match is_told {
                    true => format!(
                        "{worker} takes nothing more, and still has tasks after {limit:?}: it ends when they have; cancel \
                         them, or wait on by removing it once more"
                    ),
                    false => format!("{worker} has not joined within {limit:?}"),
                }));
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    /// Whether a worker that does not run has left in order while somebody waited for that.
    fn left(&self, worker: WorkerId, is_told: bool) -> Result<(), LaunchError> {
        match self.ended.get(&worker) {
            Some(end) if is_told && end.in_order => Ok(()),
            Some(end) if is_told => {
                Err(LaunchError(format!("{worker} ended before it had left: {}", end.how)))
            }
            Some(end) if end.in_order => Err(LaunchError(format!("{worker} was removed before"))),
            Some(end) => Err(LaunchError(format!("{worker} has ended before: {}", end.how))),
            None => {
                let there: Vec<String> = self.running.keys().map(ToString::to_string).collect();
                let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
                Err(LaunchError(format!("there is no {worker}; those that can be removed are: {there}")))
            }
        }
    }
}
