//! One of our tasks that the scheduler knows of, and one of somebody else's that is here.

use crate::life::{Death, Life};
use crate::spec::Spec;
use poniard_model::{TaskId, WorkerId};
use std::time::Duration;

/// A task that has died with so many workers runs where no other such task of ours does, and not here: so the third death is its own.
const DEATHS_OF_A_SUSPECT: usize = 2;

/// A task of this process that the scheduler knows of: it left, or was handed over to be placed.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) spec: Spec,
    pub(crate) state: State,
    /// How often it has been started, as far as is known here.
    pub(crate) attempt: u32,
    /// How often it was sent. Whatever is said of an earlier sending is dropped.
    pub(crate) sendings: u32,
    /// How often it came back before it had started. Each time it has to wait twice as long for the next.
    pub(crate) returns: u32,
    /// The workers that died while they had it.
    pub(crate) deaths: Vec<Death>,
    /// A worker died that had it, and whether it ran there is not known.
    pub(crate) is_in_doubt: bool,
    /// Whether somebody has a handle of its result.
    pub(crate) is_wanted: bool,
    /// Whether its promise is completed: it is only made again from then on.
    pub(crate) is_settled: bool,
    /// Tasks in the table that read its result, counted once for each reading.
    pub(crate) uses: u32,
    /// Those of `uses` whose tasks have not ended.
    pub(crate) unfinished_uses: u32,
    /// Our tasks that wait until it is made again.
    pub(crate) dependents: Vec<TaskId>,
    /// Who is to be told where its result is when it is made again.
    pub(crate) askers: Vec<Asker>,
}

/// Where a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// So many results that it reads are being made again.
    Waiting { missing: u32 },
    /// Nobody fits now. It is among the scheduler's homeless.
    Homeless { since: Duration },
    /// Two workers died of it, and no third one is free of other such tasks now. It is among the scheduler's quarantined.
    Quarantined,
    /// In the pool of this process.
    Here { since: Duration },
    /// Sent away. It is among the peer's sent.
    Away(Away),
    /// Made. Each holder that is a peer has it among its results.
    Made { holders: Vec<WorkerId> },
    /// Was made, and no copy is left. It is made again if somebody needs it.
    Lost,
    /// Was made, and neither a copy nor what it was made of is left.
    Forgotten,
}

/// A task that was sent away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Away {
    pub(crate) on: WorkerId,
    pub(crate) since: Duration,
    /// Its place in the order of all sendings to that worker.
    pub(crate) place: u64,
    /// What it was expected to take.
    pub(crate) expected_ns: u64,
    /// Told by the executor, if the order asked for it.
    pub(crate) is_started: bool,
    pub(crate) is_watched: bool,
    /// It was called back once: if it is still there, it has started.
    pub(crate) is_recalled: bool,
}

/// Who needs a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    Here,
    Peer(Life),
}

impl Task {
    pub(crate) fn new(spec: Spec) -> Task {
        Task {
            spec,
            state: State::Waiting { missing: 0 },
            attempt: 1,
            sendings: 0,
            returns: 0,
            deaths: Vec::new(),
            is_in_doubt: false,
            is_wanted: true,
            is_settled: false,
            uses: 0,
            unfinished_uses: 0,
            dependents: Vec::new(),
            askers: Vec::new(),
        }
    }

    /// Whether it is still to run, for the first time or again.
    pub(crate) fn is_unfinished(&self) -> bool {
        !matches!(self.state, State::Made { .. } | State::Lost | State::Forgotten)
    }

    /// Whether it may kill its worker: it is quarantined.
    pub(crate) fn is_suspect(&self) -> bool {
        self.has_killed() || self.is_in_doubt
    }

    /// Whether others wait for its result: it must not wait for them in its turn.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.dependents.is_empty() || !self.askers.is_empty()
    }

    /// Whether it seems to have killed so often that it does not run in its owner's process, whoever else is there.
    pub(crate) fn has_killed(&self) -> bool {
        self.deaths.len() >= DEATHS_OF_A_SUSPECT
    }

    /// Whether nothing can ever need it again.
    pub(crate) fn is_over(&self) -> bool {
        !self.is_wanted && self.uses == 0 && matches!(self.state, State::Lost | State::Forgotten)
    }
}

/// A task of another owner that is in the pool of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Which of its owner's sendings.
    pub(crate) sending: u32,
    /// Its owner wants to know when it starts.
    pub(crate) is_watched: bool,
}
