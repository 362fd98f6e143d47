//! Clusters that the command `poniard` starts, and that workers of other servers join: real processes, on this machine and in
//! network namespaces.
#![forbid(unsafe_code)]

mod asked;
mod blocks;
mod by_hand;
#[path = "../../../poniard/tests/graphs/chance.rs"]
#[allow(dead_code, reason = "shared with other binaries")]
mod chance;
mod hosts;
mod mpirun;
mod obeys;
mod refused;
mod rests;
mod rough;
mod slurm;
mod stage;
mod started;
