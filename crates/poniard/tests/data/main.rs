//! The acceptance tests of data: chunks, memory and disk. As in `tests/rows`, a test whose name begins with a row's id shows
//! that row of the list of features.
//!
//! A binary of its own, so that either half of the tests is built in half the time.
#![forbid(unsafe_code)]
// The tests write what users write.
#![allow(clippy::cloned_ref_to_slice_refs, clippy::ptr_arg, clippy::needless_question_mark)]

#[path = "../rows/alone.rs"]
mod alone;
#[cfg(feature = "async")]
mod asynchronous;
mod chunks;
mod faults;
mod keeping;
mod random;
mod remade;
#[path = "../rows/signals.rs"]
#[allow(dead_code, reason = "shared with the other binary")]
mod signals;
