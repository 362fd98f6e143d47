//! Graphs of tasks, random and huge, against a plain serial oracle.
#![forbid(unsafe_code)]

#[path = "../rows/alone.rs"]
#[allow(dead_code, reason = "shared with the other binaries")]
mod alone;
mod chance;
mod huge;
mod random;
mod turns;
