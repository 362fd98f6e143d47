//! Why a task waits, and what there is: as data, and as one line of text.

use super::Scheduler;
use crate::counters::Counters;
use crate::life::{Death, Life};
use crate::task::State;
use poniard_model::{TaskId, WorkerId};
use std::fmt;
use std::time::Duration;

/// Why one of our tasks has not ended, or what has become of it. `Display` is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// It never left this process, or nothing needs it any more.
    Unknown,
    /// Results that it reads are made again.
    Remaking {
        /// Which tasks make them.
        inputs: Vec<TaskId>,
    },
    /// No worker that is there fits it.
    Homeless {
        /// What was asked, what there is, and what cut it; or that it has killed too often to run in its owner's process.
        reason: String,
        /// Since so long.
        waited: Duration,
        /// It fails when no worker has come after so long.
        limit: Duration,
    },
    /// Workers died of it, and it waits until it can run without others that may have killed them.
    Quarantined {
        /// Which.
        deaths: Vec<Death>,
        /// Which tasks run before it.
        behind: Vec<TaskId>,
    },
    /// It is in the pool of this process.
    Here {
        /// Since so long.
        waited: Duration,
        /// Its attempt.
        attempt: u32,
    },
    /// It was sent away.
    Away {
        /// To whom.
        on: Life,
        /// So long ago.
        waited: Duration,
        /// Its attempt.
        attempt: u32,
        /// How many of our tasks were sent there before it and have not ended.
        before: usize,
        /// It is known to have started.
        is_started: bool,
    },
    /// It has ended, and its result is there.
    Made {
        /// Who has a copy.
        at: Vec<WorkerId>,
    },
    /// Its result is lost or freed, and is made again when somebody needs it.
    Lost,
    /// It failed, or its result is lost and cannot be made again.
    Forgotten,
}

/// What this process knows of the cluster.
#[derive(Clone, Debug)]
pub struct Status {
    /// Each other worker.
    pub peers: Vec<PeerStatus>,
    /// Tasks of others that are here.
    pub held: usize,
    /// Tasks that nobody fits now.
    pub homeless: usize,
    /// Tasks that wait because workers died of them.
    pub quarantined: usize,
    /// Tasks in the table, with those that are kept only for making others again.
    pub known: usize,
    /// How often what happened.
    pub counters: Counters,
}

/// What this process knows of another worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who.
    pub life: Life,
    /// Our tasks there.
    pub tasks: usize,
    /// What they are expected to take.
    pub committed: Duration,
    /// Our results there.
    pub results: usize,
    /// Its idle processors, as far as they are known.
    pub idle: u32,
    /// It takes nothing more.
    pub is_leaving: bool,
}

impl Scheduler {
    /// Why a task of ours has not ended.
    pub fn explain(&self, now: Duration, id: TaskId) -> Why {
        let Some(task) = self.tasks.get(&id) else { return Why::Unknown };
        let waited = |since: Duration| now.saturating_sub(since);
        match &task.state {
            State::Waiting { .. } => Why::Remaking { inputs: self.unmade_inputs(id) },
            State::Homeless { since } => Why::Homeless {
                reason: self.why_homeless(id),
                waited: waited(*since),
                limit: self.config.no_worker_timeout,
            },
            State::Quarantined => {
                let behind = self.peers.values().flat_map(|peer| peer.suspects.iter().copied()).collect();
                Why::Quarantined { deaths: task.deaths.clone(), behind }
            }
            State::Here { since } => Why::Here { waited: waited(*since), attempt: task.attempt },
            State::Away(away) => {
                let peer = &self.peers[&away.on];
                Why::Away {
                    on: peer.life,
                    waited: waited(away.since),
                    attempt: task.attempt,
                    before: peer.sent.before(away.place).count(),
                    is_started: away.is_started,
                }
            }
            State::Made { holders } => Why::Made { at: holders.clone() },
            State::Lost => Why::Lost,
            State::Forgotten => Why::Forgotten,
        }
    }

    /// What this process knows of the cluster.
    pub fn status(&self) -> Status {
        let peers = self.peers.values().map(|peer| PeerStatus {
            life: peer.life,
            tasks: peer.sent.len(),
            committed: Duration::from_nanos(peer.committed_ns),
            results: peer.results.len(),
            idle: peer.hunger.map_or(0, |hunger| hunger.processors),
            is_leaving: peer.is_leaving,
        });
        Status {
            peers: peers.collect(),
            held: self.held.len(),
            homeless: self.homeless.len(),
            quarantined: self.quarantined.len(),
            known: self.tasks.len(),
            counters: self.counters,
        }
    }

    fn unmade_inputs(&self, id: TaskId) -> Vec<TaskId> {
        let is_unmade = |input: &TaskId| {
            self.tasks.get(input).is_some_and(|task| !matches!(task.state, State::Made { .. }))
        };
        self.tasks[&id].spec.reads().filter(is_unmade).collect()
    }

    fn why_homeless(&self, id: TaskId) -> String {
        let task = &self.tasks[&id];
        match task.has_killed() {
            false => self.why_nobody(&task.spec),
            true => "workers have died that had it, and there is none but its owner's".to_owned(),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: &Duration| format!("{:.1} s", time.as_secs_f64());
        match self {
            Why::Unknown => f.write_str("is not among those that left this process"),
            Why::Remaking { inputs } => {
                write!(f, "waits for {}, which workers that are gone had made", list(inputs))
            }
            Why::Homeless { reason, waited, limit } => {
                write!(
                    f,
                    "waits since {} for a worker, {} at most: {reason}",
                    seconds(waited),
                    seconds(limit)
                )
            }
            Why::Quarantined { deaths, behind } => {
                write!(f, "{} workers died of it: waits to run without {}", deaths.len(), list(behind))
            }
            Why::Here { waited, attempt } => {
                write!(f, "is in this process's pool since {} (attempt {attempt})", seconds(waited))
            }
            Why::Away { on, waited, attempt, is_started: true, .. } => {
                write!(f, "runs on {on}, sent {} ago (attempt {attempt})", seconds(waited))
            }
            Why::Away { on, waited, attempt, before, .. } => {
                let waited = seconds(waited);
                write!(f, "was sent to {on} {waited} ago (attempt {attempt}), behind {before} others")
            }
            Why::Made { at } => write!(f, "has ended; its result is at {}", list(at)),
            Why::Lost => f.write_str("has ended; its result is made again when somebody needs it"),
            Why::Forgotten => f.write_str("failed, or its result is lost and cannot be made again"),
        }
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
