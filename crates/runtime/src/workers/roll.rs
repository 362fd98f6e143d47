//! Who is here: the workers that worker 1 has started or let in, and by what each of them knows that worker 1 is there.

use super::driver::Input;
use super::inbox;
use super::mail::Mail;
use poniard_model::WorkerId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::process::ChildStdin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a worker may take to join: it is seconds only where the machine is very busy.
pub(super) const JOINING: Duration = Duration::from_secs(60);

/// What those know of the workers that watch them.
#[derive(Debug, Default)]
pub(super) struct Roll {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The highest number that was given.
    last: u32,
    /// Those that run, each with the line by which it knows that this process is there: it ends when that goes.
    running: BTreeMap<WorkerId, Option<Line>>,
    /// Whom each has met.
    met: BTreeMap<WorkerId, BTreeSet<WorkerId>>,
    /// How those ended that did before they had joined.
    stillborn: BTreeMap<WorkerId, String>,
}

/// By what a worker knows that worker 1 is there. Dropped, it ends.
#[derive(Debug)]
pub(super) enum Line {
    /// The standard input of a process that was started here.
    Pipe(#[expect(dead_code, reason = "it is there until it is dropped")] ChildStdin),
    /// The connection by which a process of another server came in.
    Door(TcpStream),
}

/// Workers could not be started.
#[derive(Debug)]
pub struct LaunchError(pub(super) String);

impl Drop for Line {
    fn drop(&mut self) {
        if let Line::Door(stream) = self {
            // Whoever waits for what comes there has the same stream open.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Roll {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that nobody has had.
    pub(super) fn number(&self) -> WorkerId {
        let mut state = self.lock();
        state.last = state.last.max(WorkerId::FIRST.0) + 1;
        WorkerId(state.last)
    }

    /// A worker runs.
    pub(super) fn begin(&self, worker: WorkerId, line: Line) {
        self.lock().running.insert(worker, Some(line));
    }

    /// The process of a worker has ended, like this.
    pub(super) fn end(&self, worker: WorkerId, signal: Option<i32>, how: String, mail: &Weak<Mail>) {
        {
            let mut state = self.lock();
            state.running.remove(&worker);
            if state.met.remove(&worker).is_none() {
                state.stillborn.insert(worker, how);
            }
            for met in state.met.values_mut() {
                met.remove(&worker);
            }
        }
        self.changed.notify_all();
        // In this order: what it said last is heard first, and the signal is known before the connection is lost.
        inbox::tell(Input::Gone { worker, signal });
        if let Some(mail) = mail.upgrade() {
            mail.dismiss(worker);
        }
    }

    /// Worker 1 waits no longer for this one, which has come by the door.
    pub(super) fn let_go(&self, worker: WorkerId) {
        if let Some(line @ Some(Line::Door(_))) = self.lock().running.get_mut(&worker) {
            *line = None;
        }
    }

    /// This one is held no longer.
    pub(super) fn hang_up(&self, worker: WorkerId) {
        if let Some(line) = self.lock().running.get_mut(&worker) {
            *line = None;
        }
    }

    /// Nobody is held any longer.
    pub(super) fn let_all_go(&self) {
        self.lock().running.values_mut().for_each(|line| *line = None);
    }

    /// A worker has met these.
    pub(super) fn met(&self, worker: WorkerId, others: Vec<WorkerId>) {
        self.lock().met.insert(worker, others.into_iter().collect());
        self.changed.notify_all();
    }

    /// Those that run.
    pub(super) fn running(&self) -> Vec<WorkerId> {
        self.lock().running.keys().copied().collect()
    }

    /// Whether a worker and all others know each other.
    pub(super) fn has_joined(&self, worker: WorkerId) -> bool {
        self.lock().has_joined(worker)
    }

    /// Waits until these have joined.
    ///
    /// # Errors
    /// When one ends before, or takes too long.
    pub(super) fn wait_until_joined(&self, begun: &[WorkerId]) -> Result<(), LaunchError> {
        let deadline = Instant::now() + JOINING;
        let mut state = self.lock();
        loop {
            if let Some((worker, how)) =
                begun.iter().find_map(|worker| Some((worker, state.stillborn.get(worker)?)))
            {
                return Err(LaunchError(format!("{worker} ended before it had joined: {how}")));
            }
            let missing = begun.iter().find(|worker| !state.has_joined(**worker));
            let Some(missing) = missing else { return Ok(()) };
            state = self
                .wait(state, deadline)
                .ok_or_else(|| LaunchError(format!("{missing} has not joined within {JOINING:?}")))?;
        }
    }

    /// Waits until so many have come by the door.
    ///
    /// # Errors
    /// When they take longer than this.
    pub(super) fn wait_for_joiners(&self, count: usize, limit: Duration) -> Result<(), LaunchError> {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            let is_door = |line: &Option<Line>| matches!(line, Some(Line::Door(_)));
            let joiners = state.running.iter().filter(|(_, line)| is_door(line)).map(|(worker, _)| *worker);
            let joined = joiners.filter(|worker| state.has_joined(*worker)).count();
            if joined >= count {
                return Ok(());
            }
            state = self.wait(state, deadline).ok_or_else(|| {
                LaunchError(format!(
                    "{joined} of {count} workers of other servers have joined within {limit:?}"
                ))
            })?;
        }
    }

    /// Waits until none runs. Gives whether that is so in time.
    pub(super) fn wait_until_empty(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        while !state.running.is_empty() {
            let Some(later) = self.wait(state, deadline) else { return false };
            state = later;
        }
        true
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, deadline: Instant) -> Option<MutexGuard<'a, State>> {
        let left = deadline.checked_duration_since(Instant::now())?;
        Some(self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0)
    }
}

impl State {
    fn has_joined(&self, worker: WorkerId) -> bool {
        let others = self.running.keys().chain([&WorkerId::FIRST]).filter(|other| **other != worker);
        let knows =
            |one, other| self.met.get(one).is_some_and(|met: &BTreeSet<WorkerId>| met.contains(other));
        others.into_iter().all(|other| knows(&worker, other) && knows(other, &worker))
    }
}

/// A number for the life of a process: later ones are larger.
pub(super) fn life() -> io::Result<u64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map(|now| now.as_nanos() as u64)
        .map_err(|error| io::Error::other(format!("the clock stands before 1970: {error}")))
}

impl From<io::Error> for LaunchError {
    fn from(error: io::Error) -> LaunchError {
        LaunchError(error.to_string())
    }
}

impl LaunchError {
    /// There is no cluster to add workers to.
    pub(super) fn alone() -> LaunchError {
        LaunchError("this process has started no workers; start the cluster with some".to_owned())
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LaunchError {}
