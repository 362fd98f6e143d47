//! Clusters that the command `poniard` starts, and that workers of other servers join: real processes, on this machine and in
//! network namespaces.
#![forbid(unsafe_code)]

mod asked;
mod blocks;
mod by_hand;
mod hosts;
mod mpirun;
mod obeys;
mod refused;
mod rough;
mod slurm;
mod stage;
mod started;
