//! What a program is made of, and what has truly become of each part of it.

use crate::life::Life;
use poniard_model::{Scope, TaskId};
use std::collections::BTreeSet;

/// A task, wherever in the world: whose, and which.
pub(super) type Key = (Life, TaskId);

/// One task of a program.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) reads: Vec<TaskId>,
    pub(super) run_ns: u64,
    pub(super) function: u64,
    pub(super) scope: Option<Scope>,
    /// The data that it uses lives there and nowhere else.
    pub(super) pinned: Option<Life>,
    pub(super) bytes: u64,
    /// Its result travels with the report.
    pub(super) rides: bool,
    /// Once it runs it does not look whether it was cancelled.
    pub(super) is_deaf: bool,
    /// Its worker dies of it.
    pub(super) kills: bool,
    /// The user holds on to its result to the end, and looks at it then.
    pub(super) is_kept: bool,
    /// It spawns two tasks of one less, up to 2, and waits for them: fib.
    pub(super) fork: Option<u32>,
}

impl Job {
    pub(super) fn plain(run_ns: u64) -> Job {
        Job {
            reads: Vec::new(),
            run_ns,
            function: 1,
            scope: None,
            pinned: None,
            bytes: 8,
            rides: true,
            is_deaf: false,
            kills: false,
            is_kept: false,
            fork: None,
        }
    }
}

/// What has truly become of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Made,
    Failed,
    Cancelled,
    /// By the scheduler, for this reason.
    Refused(crate::Failure),
    /// Something that it reads failed: it was never handed over.
    Upstream,
}

/// What has truly become of a task, as nobody in the world knows it.
#[derive(Clone, Debug)]
pub(super) struct Truth {
    pub(super) job: Job,
    pub(super) outcome: Option<Outcome>,
    /// Inputs that are not made.
    pub(super) missing: usize,
    pub(super) readers: Vec<TaskId>,
    /// How often it began to run.
    pub(super) starts: u32,
    /// Who died while it was there: running, queued or on its way.
    pub(super) deaths: u32,
    /// How often its worker was ended for another task's sake while it was there, and its owner knew.
    pub(super) spared: u32,
    /// How often its result was lost with its last copy.
    pub(super) losses: u32,
    /// Who has a copy that the owner has accepted.
    pub(super) copies: BTreeSet<Life>,
    /// The sendings whose end was reported to a living owner.
    pub(super) reports: BTreeSet<u32>,
    pub(super) is_released: bool,
    pub(super) is_forgotten: bool,
    pub(super) was_cancelled: bool,
    /// Where the owner's runtime believes the result to be.
    pub(super) located: Vec<Life>,
    /// The task that waits for this one, at the same owner: of fib.
    pub(super) parent: Option<Key>,
}

impl Truth {
    pub(super) fn new(job: Job) -> Truth {
        Truth {
            missing: 0,
            job,
            outcome: None,
            readers: Vec::new(),
            starts: 0,
            deaths: 0,
            spared: 0,
            losses: 0,
            copies: BTreeSet::new(),
            reports: BTreeSet::new(),
            is_released: false,
            is_forgotten: false,
            was_cancelled: false,
            located: Vec::new(),
            parent: None,
        }
    }
}
