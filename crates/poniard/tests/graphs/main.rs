//! Graphs of tasks, random and huge, against a plain serial oracle.
#![forbid(unsafe_code)]

mod huge;
mod random;
mod turns;
