//! What a thread has of the pool's for the task that it runs, until the task's time is over.
//!
//! A body that goes on past its time limit keeps its thread, and nothing else: the timer takes the rest from it while it
//! runs, and others have it. So it lies behind a lock, or is atomic, and whoever takes it first gives it back.

use super::Engine;
use super::context::Context;
use crate::board::Assignment;
use std::mem::take;
use std::sync::{MutexGuard, PoisonError};

/// What a thread has of the pool's, beside its processor.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    /// What the board gave with the task; nothing for a task that is not placed.
    assignment: Assignment,
    /// It waits in the middle of the task, and is counted among those that do.
    waits: bool,
    /// The task's time is over, and the body has not returned: the pool does not count on the thread.
    over: bool,
}

impl Context {
    fn lease(&self) -> MutexGuard<'_, Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what the task was assigned that begins now.
    pub(crate) fn hold(&self, assignment: Assignment) {
        self.lease().assignment = assignment;
    }

    /// What is left of what the task was assigned; the caller gives it back.
    pub(crate) fn take_assignment(&self) -> Assignment {
        take(&mut self.lease().assignment)
    }

    /// Whether what the thread runs keeps a processor from others, or a part of one.
    pub(crate) fn keeps_processor(&self) -> bool {
        let has_share = |assignment: &Assignment| assignment.share.is_some_and(|(_, share)| share > 0);
        let lease = self.lease();
        self.processor().is_some() || has_share(&lease.assignment) || !lease.assignment.gang.is_empty()
    }

    /// Counts the thread among those that wait in the middle of a task; false when there are too many.
    pub(crate) fn begin_wait(&self, engine: &Engine) -> bool {
        let mut lease = self.lease();
        // Nobody counts on the thread, so it may wait as long as it likes.
        lease.waits = !lease.over && engine.crew.begin_wait();
        lease.waits || lease.over
    }

    /// Ends a wait, and takes a processor again if the thread held one.
    pub(crate) fn end_wait(&self, engine: &'static Engine, held: Option<u32>) {
        let mut lease = self.lease();
        // Without a processor it goes on all the same: to wait for one while holding a lock could be for ever.
        let again = held.filter(|_| !lease.over).and_then(|held| engine.crew.take_any(Some(held)));
        if let Some(processor) = again {
            // Under the lock: the timer has not come yet, and finds it.
            self.set_processor(processor);
        }
        let counted = take(&mut lease.waits);
        drop(lease);
        if counted {
            engine.end_wait();
        }
    }

    /// The time of the task is over, and its body goes on: takes from the thread what others may have.
    pub(crate) fn let_go(&self, engine: &'static Engine) {
        let mut lease = self.lease();
        lease.over = true;
        let (processor, assignment) = (self.take_processor(), take(&mut lease.assignment));
        let counted = take(&mut lease.waits);
        drop(lease);
        engine.crew.let_go();
        if counted {
            engine.end_wait();
        }
        if let Some(processor) = processor {
            engine.release(processor);
        }
        engine.end_assignment(assignment);
        engine.thread_came_free();
    }

    /// The body of a task with a time limit has returned: the pool counts on its thread again.
    pub(crate) fn come_back(&self, engine: &Engine) {
        if take(&mut self.lease().over) {
            engine.crew.come_back();
        }
    }
}
