//! The thread that owns MPI: it alone calls it, from its beginning to its end.

use super::desk::Desk;
use super::owner::Owner;
use super::round;
use super::{Job, Shared};
use crate::engine::EngineError;
use ::mpi::Threading;
use ::mpi::traits::Communicator;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// What the thread does.
pub(super) fn own(begun: &Sender<Result<Job, EngineError>>) {
    // All calls are made here, and MPI takes the thread that initialises it for the main one.
    let Some((universe, threading)) = ::mpi::initialize_with_threading(Threading::Funneled) else {
        let why = "MPI cannot be initialised: something else in this program has done so before";
        begun.send(Err(EngineError::new(why))).ok();
        return;
    };
    if threading < Threading::Funneled {
        begun.send(Err(EngineError::new("this build of MPI allows a process no threads"))).ok();
        return;
    }
    let world = universe.world();
    let (rank, size) = (world.rank() as usize, world.size() as usize);
    let desk = Mutex::new(Desk::new(rank, size, Some(thread::current().id())));
    let shared = Arc::new(Shared { desk, wanted: Condvar::new(), done: Condvar::new() });
    let mut owner = Owner::new(world, size, shared.clone());
    if begun.send(Ok(Job { shared, rank, size })).is_err() {
        return;
    }
    while !owner.is_over() {
        round::play(&mut owner, None);
    }
    // It leaves MPI.
    drop(universe);
    if let Some(finish) = owner.finish {
        finish.send(()).ok();
    }
}
