//! What takes messages to other workers.

use crate::message::Message;
use poniard_model::WorkerId;

/// Takes messages to other workers: each arrives once, and in the order of the calls for one worker as far as they are small, or
/// the worker is gone, and the driver is told.
pub(crate) trait Post: Send + Sync + std::fmt::Debug {
    /// Sends a message, without waiting for the worker.
    fn send(&self, to: WorkerId, message: Message);
}
