//! The job that `mpirun` has started this process in: what its processes say to each other before there is a cluster, and how they
//! end. All messages of the cluster go by MPI then.
//!
//! MPI is joined before `main`, by all: nobody waits in it for a program that takes its time, and worker 1 can tell the others at its
//! end that nothing comes, whether it has ever started a cluster or not. When a process of the job dies, OpenMPI ends the others
//! and says which it was, so nobody is left who waits.

use super::birth::Birth;
use super::rank::{Rank, Starter};
use crate::code::{at_exit, build};
use poniard_fabric::handshake::HandshakeError;
use poniard_fabric::mpi::Job as Ranks;
use poniard_fabric::{Build, Engine, Peer};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// For so long worker 1 waits at its end for those who were told to end as well.
const PARTING: Duration = Duration::from_secs(10);
/// Of the hash of the executable that comes before everything else.
const BUILD_BYTES: usize = 32;

/// The job of this process, in which it is one of several.
#[derive(Debug)]
pub(crate) struct Job {
    ranks: Ranks,
    /// Worker 1 has said that it leaves.
    is_over: AtomicBool,
}

static JOB: OnceLock<Job> = OnceLock::new();

/// The job of this process; none when it was started otherwise.
pub(crate) fn job() -> Option<&'static Job> {
    JOB.get()
}

/// Whether this process is in one.
pub(crate) fn is_in() -> bool {
    job().is_some()
}

/// Joins the job, if it is one. Called before `main`.
///
/// # Errors
/// When MPI cannot be used.
pub(crate) fn enter(rank: &Rank) -> Result<(), String> {
    if rank.starter != Starter::Mpirun {
        return Ok(());
    }
    let ranks = Ranks::join().map_err(|error| error.to_string())?;
    let (number, size) = (ranks.rank(), ranks.size());
    if (number, size) != (rank.number, rank.tasks) {
        return Err(format!(
            "mpirun says that this is process {} of {}, and MPI that it is {number} of {size}: this program was built with another \
             MPI than this mpirun is of",
            rank.number, rank.tasks
        ));
    }
    if JOB.set(Job { ranks, is_over: AtomicBool::new(false) }).is_ok() && number == 0 {
        at_exit(leave_at_exit);
    }
    Ok(())
}

impl Job {
    /// How many processes it has.
    pub(crate) fn size(&self) -> usize {
        self.ranks.size()
    }

    /// The engine of this process.
    pub(crate) fn engine(&self, me: Peer) -> Arc<dyn Engine> {
        Arc::new(self.ranks.engine(me))
    }

    /// Tells each of the others who it is.
    pub(crate) fn begin(&self, birth: impl Fn(usize) -> Birth) {
        self.tell_all(|rank| Some(birth(rank)));
    }

    /// Waits until this process is told who it is; nothing when it is not needed, or not any more.
    ///
    /// # Errors
    /// When worker 1 is another program.
    pub(crate) fn birth(&self) -> Result<Option<Birth>, String> {
        let (_, said) = self.ranks.hear();
        let birth = read(&said)?;
        self.is_over.fetch_or(birth.is_none(), Ordering::Relaxed);
        Ok(birth)
    }

    /// Leaves it when worker 1 does: OpenMPI has processes that leave wait for the others, and that costs more than this.
    pub(crate) fn leave(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            // It says nothing else any more.
            let _ = self.birth();
        }
        // It ends this process if it does not come to that.
        self.ranks.finish(Duration::MAX).ok();
    }

    fn tell_all(&self, birth: impl Fn(usize) -> Option<Birth>) {
        for rank in 1..self.size() {
            self.ranks.tell(rank, written(birth(rank)));
        }
    }
}

fn written(birth: Option<Birth>) -> Vec<u8> {
    let mut said = build().to_vec();
    said.extend(postcard::to_allocvec(&birth).expect("there is memory for a few paths and numbers"));
    said
}

fn read(said: &[u8]) -> Result<Option<Birth>, String> {
    let (theirs, birth) = said.split_at_checked(BUILD_BYTES).unwrap_or((&[], said));
    let (ours, theirs) = (build(), <[u8; BUILD_BYTES]>::try_from(theirs).unwrap_or_default());
    if ours != theirs {
        return Err(HandshakeError::BuildMismatch { ours: Build(ours), theirs: Build(theirs) }.to_string());
    }
    postcard::from_bytes(birth).map_err(|error| format!("worker 1 says what cannot be read: {error}"))
}

/// What worker 1 does at its end, after its cluster has ended.
extern "C" fn leave_at_exit() {
    let leave = || {
        let Some(job) = job() else { return };
        job.tell_all(|_| None);
        if let Err(error) = job.ranks.finish(PARTING) {
            eprintln!("{}: {error}; mpirun ends them", poniard_pool::me());
        }
    };
    // On another thread: this one's storage is gone already.
    if let Ok(thread) = std::thread::Builder::new().spawn(leave) {
        let _ = thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_is_refused_by_name_and_not_read() {
        assert!(read(&written(None)).is_ok_and(|birth| birth.is_none()));
        let mut other = written(None);
        other[0] ^= 1;
        for said in [&other[..], &[], &[1, 2, 3]] {
            let why = read(said).unwrap_err();
            assert!(why.starts_with("the executable is "), "{why}");
        }
        assert!(read(&build()).unwrap_err().starts_with("worker 1 says what cannot be read"));
    }
}
