//! One worker process: its scheduler, and a small runtime around it with deques, processors and inputs on their way.

use super::job::Key;
use crate::action::Take;
use crate::life::Life;
use crate::message::Sending;
use crate::scheduler::{Config, Scheduler};
use poniard_model::{TaskId, WorkerId};
use std::collections::{BTreeMap, VecDeque};

/// A task in a pool that has not started.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) key: Key,
    pub(super) since: u64,
}

/// A task that runs, or waits for tasks of its own.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) since: u64,
    /// Tells this run from another one of the same task.
    pub(super) run: u64,
    /// Since when it should stop, and does not.
    pub(super) is_stopped: Option<u64>,
    /// Tasks of its own that it waits for; it holds no processor meanwhile.
    pub(super) children: usize,
}

/// A task whose inputs are on their way.
#[derive(Clone, Debug)]
pub(super) struct Gathering {
    pub(super) left: Vec<Key>,
    pub(super) is_own: bool,
}

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) life: Life,
    pub(super) scheduler: Scheduler,
    pub(super) processors: usize,
    /// Processors that run something.
    pub(super) busy: usize,
    pub(super) own: VecDeque<Queued>,
    pub(super) foreign: VecDeque<Queued>,
    pub(super) gathering: BTreeMap<Key, Gathering>,
    pub(super) running: BTreeMap<Key, Running>,
    pub(super) take: Option<Take>,
    pub(super) told_idle: Option<u32>,
    pub(super) idle_since: Option<u64>,
    pub(super) frozen: bool,
    /// Its scheduler has said that it may go.
    pub(super) may_depart: bool,
    /// What happened to it while it was frozen.
    pub(super) deferred: Vec<super::world::Happening>,
    /// Which life of an owner a task came from.
    pub(super) owners: BTreeMap<WorkerId, Life>,
    /// The sending of each task of others that came.
    pub(super) sendings: BTreeMap<Key, Sending>,
    pub(super) next_task: u64,
    /// Nanoseconds that its processors were busy.
    pub(super) busy_ns: u64,
    /// When it first ran something, if it did.
    pub(super) first_run: Option<u64>,
}

impl Machine {
    pub(super) fn new(config: Config) -> Machine {
        Machine {
            life: config.me,
            processors: config.processors.len(),
            scheduler: Scheduler::new(config),
            busy: 0,
            own: VecDeque::new(),
            foreign: VecDeque::new(),
            gathering: BTreeMap::new(),
            running: BTreeMap::new(),
            take: None,
            told_idle: None,
            idle_since: None,
            frozen: false,
            may_depart: false,
            deferred: Vec::new(),
            owners: BTreeMap::new(),
            sendings: BTreeMap::new(),
            next_task: 1 << 32,
            busy_ns: 0,
            first_run: None,
        }
    }

    pub(super) fn key(&self, owner: WorkerId, task: TaskId) -> Key {
        let life = if owner == self.life.worker { self.life } else { self.owners[&owner] };
        (life, task)
    }

    /// Takes a task out that has not started.
    pub(super) fn unqueue(&mut self, key: &Key) -> bool {
        let before = self.own.len() + self.foreign.len();
        self.own.retain(|queued| queued.key != *key);
        self.foreign.retain(|queued| queued.key != *key);
        self.gathering.remove(key).is_some() || before > self.own.len() + self.foreign.len()
    }
}
