//! The job of `mpirun` in a build without MPI: there is none, and its processes are a cluster like those of a step of Slurm.

use super::birth::Birth;
use super::rank::Rank;
use poniard_fabric::{Engine, Peer};
use std::sync::Arc;

/// There is none.
#[derive(Debug)]
pub(crate) enum Job {}

/// None.
pub(crate) fn job() -> Option<&'static Job> {
    None
}

/// It is not.
pub(crate) fn is_in() -> bool {
    false
}

/// Joins none.
///
/// # Errors
/// Never.
pub(crate) fn enter(_: &Rank) -> Result<(), String> {
    Ok(())
}

impl Job {
    pub(crate) fn size(&self) -> usize {
        match *self {}
    }

    pub(crate) fn engine(&self, _: Peer) -> Arc<dyn Engine> {
        match *self {}
    }

    pub(crate) fn begin(&self, _: impl Fn(usize) -> Birth) {
        match *self {}
    }

    pub(crate) fn birth(&self) -> Result<Option<Birth>, String> {
        match *self {}
    }

    pub(crate) fn leave(&self) {
        match *self {}
    }
}
