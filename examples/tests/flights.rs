//! The own tests of the parts of the example `flights`.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "the example's `main` uses the rest")]

#[path = "../flights/arguments.rs"]
mod arguments;
#[path = "../flights/chart.rs"]
mod chart;
#[path = "../flights/flights.rs"]
mod flights;
#[path = "../flights/serial.rs"]
mod serial;
#[path = "../flights/stats.rs"]
mod stats;
#[path = "../flights/svg.rs"]
mod svg;
