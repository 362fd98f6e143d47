//! Who is here: the workers that worker 1 has started or let in, and how those ended that were.

use super::driver::{Exits, Input};
use super::inbox;
use super::mail::Mail;
use super::process::Process;
use super::respawn::{Respawns, Verdict};
use poniard_model::WorkerId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a worker may take to join: it is seconds only where the machine is very busy.
pub(super) const JOINING: Duration = Duration::from_secs(60);
/// Workers that have ended and whose end is remembered.
const ENDED_MAX: usize = 256;

/// What those know of the workers that watch them.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The highest number that was given.
    last: u32,
    /// Those that run.
    pub(super) running: BTreeMap<WorkerId, Arc<Process>>,
    /// How many are about to.
    pub(super) starting: usize,
    /// Whom each has met.
    met: BTreeMap<WorkerId, BTreeSet<WorkerId>>,
    /// How those ended that have.
    pub(super) ended: BTreeMap<WorkerId, End>,
    /// Those that were told to leave, and run.
    pub(super) leaving: BTreeSet<WorkerId>,
    /// Those that were told to leave and do not, until they are told again: so many data live there of which others have handles.
    pub(super) staying: BTreeMap<WorkerId, u64>,
    /// Those that were ended because of a task that does not return, until they have.
    perishing: BTreeSet<WorkerId>,
    /// Those that were out of reach for too long, and are ended for that.
    silent: BTreeSet<WorkerId>,
    /// Those that replace others, until they have ended.
    pub(super) replacing: BTreeSet<WorkerId>,
    respawns: Respawns,
    /// Of each that replaces another: in whose place it is, as the hosts were given in turn at first.
    places: BTreeMap<WorkerId, WorkerId>,
    /// All of them end.
    pub(super) is_over: bool,
}

/// How a worker ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) how: String,
    pub(super) had_joined: bool,
    /// It was told to leave, and did.
    pub(super) in_order: bool,
}

/// Workers could not be started.
#[derive(Debug)]
pub struct LaunchError(pub(super) String);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a cluster that replaces so many in a minute.
    pub(super) fn new(respawn: u32) -> Arc<Shared> {
        let respawns = Respawns::new(respawn);
        let state = State { last: WorkerId::FIRST.0, respawns, ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        *REGISTER.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&shared);
        shared
    }

    /// A number that nobody has had.
    pub(super) fn number(&self) -> WorkerId {
        let mut state = self.lock();
        state.last += 1;
        WorkerId(state.last)
    }

    /// A worker runs. If all of them end, so does this one: whoever ends them may have looked already.
    pub(super) fn begin(&self, worker: WorkerId, process: Process) -> Arc<Process> {
        let process = Arc::new(process);
        let mut state = self.lock();
        state.running.insert(worker, process.clone());
        if state.is_over {
            process.cut();
        }
        process
    }

    /// A worker that was started by somebody else has ended, like this.
    pub(super) fn end_elsewhere(&self, worker: WorkerId, how: String, mail: &Weak<Mail>) {
        let ended = self.lock().on_end(Duration::ZERO, worker, how);
        self.changed.notify_all();
        ended.announce();
        inbox::tell(Input::Gone { worker, signal: None, how: ended.how, is_cut_off: false });
        if let Some(mail) = mail.upgrade() {
            mail.dismiss(worker);
        }
    }

    /// Waits until so many that were started by somebody else, as these words tell of them, have joined.
    ///
    /// # Errors
    /// When they take longer than this.
    pub(super) fn wait_for_joiners(
        &self,
        count: usize,
        whose: &str,
        limit: Duration,
    ) -> Result<(), LaunchError> {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            let is_joiner = |(worker, process): &(&WorkerId, &Arc<Process>)| {
                process.is_elsewhere() && state.has_joined(**worker)
            };
            let joined = state.running.iter().filter(is_joiner).count();
            if joined >= count {
                return Ok(());
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Err(LaunchError(format!(
                    "{joined} of {count} workers {whose} have joined within {limit:?}"
                )));
            };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until none of them runs. Gives those that do all the same.
    pub(super) fn until_none_runs(&self, patience: Duration) -> Vec<Arc<Process>> {
        let is_any = |state: &mut State| state.starting > 0 || !state.running.is_empty();
        let waited = self.changed.wait_timeout_while(self.lock(), patience, is_any);
        waited.unwrap_or_else(PoisonError::into_inner).0.running.values().cloned().collect()
    }
}

impl State {
    /// Whether a worker and all others know each other.
    pub(super) fn has_joined(&self, worker: WorkerId) -> bool {
        let others = self.running.keys().chain([&WorkerId::FIRST]).filter(|other| **other != worker);
        let knows =
            |one, other| self.met.get(one).is_some_and(|met: &BTreeSet<WorkerId>| met.contains(other));
        others.into_iter().all(|other| knows(&worker, other) && knows(other, &worker))
    }

    /// In whose place a worker is started: that of the one that it replaces, or its own.
    pub(super) fn place(&mut self, number: WorkerId, instead_of: Option<WorkerId>) -> WorkerId {
        let Some(before) = instead_of else { return number };
        let place = self.places.remove(&before).unwrap_or(before);
        self.places.insert(number, place);
        place
    }

    /// A process has ended.
    pub(super) fn on_end(&mut self, now: Duration, number: WorkerId, how: String) -> Ended {
        let process = self.running.remove(&number);
        let is_elsewhere = process.is_some_and(|process| process.is_elsewhere());
        let had_joined = self.met.remove(&number).is_some();
        for met in self.met.values_mut() {
            met.remove(&number);
        }
        let was_leaving = self.leaving.remove(&number);
        let replaces = self.replacing.remove(&number);
        // How it ended is not known of one that was not started here.
        let in_order = was_leaving && (is_elsewhere || how == ENDED_WELL);
        let is_ours = self.is_over || in_order || !(had_joined || replaces);
        let (perished, was_silent) = (self.perishing.remove(&number), self.silent.remove(&number));
        let how = if perished {
            PERISHED.to_owned()
        } else if was_silent {
            SILENT.to_owned()
        } else {
            how
        };
        let verdict = match (is_ours || is_elsewhere, perished) {
            (true, _) => Verdict::Leave,
            // Whatever the user wants of workers that are lost: this one was taken away.
            (false, true) if was_leaving => Verdict::Leave,
            (false, true) => Verdict::Replace { after: Duration::ZERO },
            (false, false) => self.respawns.on_end(now, number, had_joined, &how),
        };
        let told = match &verdict {
            Verdict::GiveUp(why) => format!("{how}; {why}"),
            _ => how.clone(),
        };
        // One that was ended for the sake of a task has said so itself.
        let news = (!is_ours && !perished).then(|| match &verdict {
            Verdict::Replace { .. } => format!("{number} is lost: {told}; another one takes its place"),
            _ => format!("{number} is lost: {told}"),
        });
        self.ended.insert(number, End { how, had_joined, in_order });
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_first();
        }
        Ended { how: told, verdict, news }
    }
}

/// The end of a process, and what follows.
#[derive(Debug)]
pub(super) struct Ended {
    /// How it came, in words.
    pub(super) how: String,
    /// What is to be done about it.
    pub(super) verdict: Verdict,
    /// What the user is to read of it.
    news: Option<String>,
}

impl Ended {
    /// Has the user read of it, if nobody wanted it.
    pub(super) fn announce(&self) {
        self.news.iter().for_each(|news| eprintln!("{news}"));
    }
}

/// Who wants to know whom each worker has met.
static REGISTER: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

/// What the driver of worker 1 calls. Nobody else ends it.
pub(super) const EXITS: Exits = Exits { tell: inbox::tell, met, stop: |_| (), stays, cut_off, perish };

/// A worker has met these.
fn met(worker: WorkerId, others: Vec<WorkerId>) {
    let shared = REGISTER.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    if let Some(shared) = shared {
        shared.lock().met.insert(worker, others.into_iter().collect());
        shared.changed.notify_all();
    }
}

/// A worker does not leave.
fn stays(worker: WorkerId, data: u64) {
    let shared = REGISTER.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    if let Some(shared) = shared {
        let mut state = shared.lock();
        state.leaving.remove(&worker);
        state.staying.insert(worker, data);
        drop(state);
        shared.changed.notify_all();
    }
}

/// A worker has no link any more. Of a process of the job of this one that is its end: nothing else tells of it.
pub(super) fn part(worker: WorkerId, how: &str) {
    let shared = REGISTER.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    let Some(shared) = shared else { return };
    let mut state = shared.lock();
    if state.running.get(&worker).is_some_and(|process| matches!(**process, Process::Rank)) {
        // It is nobody's to be replaced.
        let ended = state.on_end(Duration::ZERO, worker, how.to_owned());
        drop(state);
        shared.changed.notify_all();
        ended.announce();
    }
}

/// A worker is out of reach for good. It may be stopped, and must not live on beside those that have its tasks now.
fn cut_off(worker: WorkerId) {
    kill(worker, |state| &mut state.silent);
}

/// A worker has a task that was cancelled and does not return: it is ended, and another one takes its place.
fn perish(worker: WorkerId) {
    kill(worker, |state| &mut state.perishing);
}

/// Ends a worker, which is noted among those that are ended for this reason.
fn kill(worker: WorkerId, among: fn(&mut State) -> &mut BTreeSet<WorkerId>) {
    let shared = REGISTER.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    let Some(shared) = shared else { return };
    let mut state = shared.lock();
    if let Some(process) = state.running.get(&worker).cloned() {
        among(&mut state).insert(worker);
        drop(state);
        process.kill();
    }
}

/// How a process ends that was told to.
const ENDED_WELL: &str = "its process ended with exit status 0";
/// How one ended that was ended for the sake of one task.
const PERISHED: &str = "its process was ended, for a task that was cancelled there did not return";
/// How one ended that was ended because its tasks run elsewhere by then.
const SILENT: &str = "it was out of reach for too long";

/// How a process ended.
pub(super) fn describe(status: ExitStatus) -> String {
    if status.success() {
        return ENDED_WELL.to_owned();
    }
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("its process ended with exit status {code}"),
        (None, Some(signal)) => format!("its process was killed by signal {signal}"),
        (None, None) => "its process ended".to_owned(),
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

    /// All workers are processes of one job.
    pub(super) fn of_job() -> LaunchError {
        LaunchError(
            "the workers of this cluster are the processes that mpirun has started; start more of them, by its -n"
                .to_owned(),
        )
    }

    /// There is none any more.
    pub(super) fn over() -> LaunchError {
        LaunchError("the cluster was stopped".to_owned())
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LaunchError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_reads_of_those_that_nobody_has_ended() {
        let state = |respawn| {
            let mut state = State { respawns: Respawns::new(respawn), ..State::default() };
            state.met.insert(WorkerId(2), BTreeSet::new());
            state
        };
        let news =
            |mut state: State, how: &str| state.on_end(Duration::ZERO, WorkerId(2), how.to_owned()).news;
        let killed = "its process was killed by signal 9";
        assert_eq!(news(state(0), killed).unwrap(), format!("w2 is lost: {killed}"));
        let replaced = news(state(1), killed).unwrap();
        assert_eq!(replaced, format!("w2 is lost: {killed}; another one takes its place"));
        let silent = State { silent: BTreeSet::from([WorkerId(2)]), ..state(0) };
        assert_eq!(news(silent, killed).unwrap(), "w2 is lost: it was out of reach for too long");
        let is_leaving = State { leaving: BTreeSet::from([WorkerId(2)]), ..state(1) };
        assert_eq!(news(is_leaving, ENDED_WELL), None);
        assert_eq!(news(State { is_over: true, ..state(1) }, killed), None);
    }

    #[test]
    fn who_replaces_another_is_in_its_place_and_so_is_who_replaces_that() {
        let mut state = State::default();
        assert_eq!(state.place(WorkerId(3), None), WorkerId(3));
        assert_eq!(state.place(WorkerId(6), Some(WorkerId(3))), WorkerId(3));
        assert_eq!(state.place(WorkerId(9), Some(WorkerId(6))), WorkerId(3));
        assert_eq!(state.place(WorkerId(10), Some(WorkerId(2))), WorkerId(2));
        assert_eq!(state.places.len(), 2, "those that are gone are forgotten");
    }
}
