//! What happened: one stream of typed events, and the recorder that keeps it.
//!
//! * [`event`]: the events.
//! * [`recorder`]: switches recording on and off; off costs one predictable branch an event.
//!
//! Recording never changes what happens: nobody waits for a reader, and past a bound events are
//! counted instead of kept.
#![forbid(unsafe_code)]

pub mod event;
pub mod recorder;

pub use event::{Event, Outcome, Record};
pub use recorder::{Recorded, Recording, RecordingRuns, is_on, note};
