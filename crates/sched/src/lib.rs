//! What should happen between processes: placement, balance, recovery and cancellation, as one state machine.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod action;
mod cost;
mod counters;
mod estimate;
mod event;
mod failure;
mod life;
mod message;
mod peer;
#[cfg(test)]
#[path = "../../../tests/planted.rs"]
mod planted;
mod scheduler;
#[cfg(test)]
mod sim;
mod spec;
mod task;
#[cfg(test)]
mod tests;

pub use action::{Action, Take};
pub use counters::Counters;
pub use estimate::FunctionKey;
pub use event::Event;
pub use failure::Failure;
pub use life::{Death, Life};
pub use message::{Ending, Message, Order, Report, Rest, Sending};
pub use scheduler::{Config, PeerStatus, Scheduler, Status, Why};
pub use spec::{Input, Reach, Spec, Wishes};
