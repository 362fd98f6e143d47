//! Starting worker processes on this machine, and ending them.

use super::birth::Birth;
use super::driver::{Core, Exits, Input};
use super::inbox;
use super::life::member;
use super::mail::Mail;
use super::post::Post;
use super::process::{Ends, Process};
use super::respawn::{Respawns, Verdict};
use crate::message::Message;
use crate::settings::Settings;
use poniard_fabric::entropy::entropy;
use poniard_model::WorkerId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a worker may take to join: it is seconds only where the machine is very busy.
const JOINING: Duration = Duration::from_secs(60);
/// Workers that have ended and whose end is remembered.
const ENDED_MAX: usize = 256;

/// Worker processes of this machine, which this process has started.
#[derive(Debug)]
pub(super) struct Workers {
    pub(super) mail: Arc<Mail>,
    pub(super) shared: Arc<Shared>,
    folder: Folder,
    token: [u8; 32],
    settings: Settings,
    began: Instant,
}

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
    starting: usize,
    /// Whom each has met.
    met: BTreeMap<WorkerId, BTreeSet<WorkerId>>,
    /// How those ended that have.
    pub(super) ended: BTreeMap<WorkerId, End>,
    /// Those that were told to leave, and run.
    pub(super) leaving: BTreeSet<WorkerId>,
    /// Those that replace others, until they have ended.
    replacing: BTreeSet<WorkerId>,
    respawns: Respawns,
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

/// A private folder, which goes with this.
#[derive(Debug)]
struct Folder(PathBuf);

impl Workers {
    /// Makes this process worker 1 of a cluster, as yet without others.
    ///
    /// # Errors
    /// When there is no place for the sockets by which they talk.
    pub(super) fn prepare(settings: Settings) -> Result<Arc<Workers>, LaunchError> {
        let folder = Folder::new()?;
        let token = entropy().map_err(|error| LaunchError(format!("cannot read /dev/urandom: {error}")))?;
        let life = life()?;
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        {
            let mut state = shared.lock();
            state.last = WorkerId::FIRST.0;
            state.respawns = Respawns::new(settings.respawn);
        }
        *REGISTER.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&shared);
        let mail = Mail::new();
        let me = member(WorkerId::FIRST, &settings);
        let core = Core::new(me, mail.clone(), settings.no_worker_timeout, EXITS);
        inbox::start(core).map_err(|error| LaunchError(format!("cannot start a thread: {error}")))?;
        let silence = settings.worker_timeout;
        let workers = Workers { mail, shared, folder, token, settings, began: Instant::now() };
        let found = workers.mail.found(&workers.folder.0, token, life, silence).map_err(LaunchError);
        if found.is_err() {
            workers.end();
        }
        found.map(|()| Arc::new(workers))
    }

    /// Starts so many more workers, and waits until they have joined. Gives their numbers.
    ///
    /// # Errors
    /// When a process cannot be started, or ends before it has joined. Those that have joined stay.
    pub(super) fn add(self: &Arc<Self>, count: usize) -> Result<Vec<WorkerId>, LaunchError> {
        let mut begun = Vec::new();
        for _ in 0..count {
            begun.push(self.start()?);
        }
        let deadline = Instant::now() + JOINING;
        let mut state = self.shared.lock();
        loop {
            if let Some((worker, end)) =
                begun.iter().find_map(|worker| Some((worker, state.ended.get(worker)?)))
                && !end.had_joined
            {
                return Err(LaunchError(format!("{worker} ended before it had joined: {}", end.how)));
            }
            if state.is_over {
                return Err(LaunchError::over());
            }
            let is_missing =
                |worker: &&WorkerId| !state.has_joined(**worker) && !state.ended.contains_key(worker);
            let missing = begun.iter().find(is_missing);
            let Some(missing) = missing else { return Ok(begun) };
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Err(LaunchError(format!("{missing} has not joined within {JOINING:?}")));
            };
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Starts one process.
    fn start(self: &Arc<Self>) -> Result<WorkerId, LaunchError> {
        let number = {
            let mut state = self.shared.lock();
            if state.is_over {
                return Err(LaunchError::over());
            }
            state.last += 1;
            state.starting += 1;
            WorkerId(state.last)
        };
        let started = self.start_as(number);
        self.shared.lock().starting -= 1;
        self.shared.changed.notify_all();
        started.map(|()| number)
    }

    fn start_as(self: &Arc<Self>, number: WorkerId) -> Result<(), LaunchError> {
        let life = life()?;
        let process = Process::start()
            .map_err(|error| LaunchError(format!("cannot start {number} from /proc/self/exe: {error}")))?;
        let birth = Birth {
            number,
            life,
            token: self.token,
            folder: self.folder.0.clone(),
            settings: self.settings.clone(),
        };
        let process = Arc::new(process);
        let told = birth.write(&mut process.line());
        let is_over = {
            let mut state = self.shared.lock();
            state.running.insert(number, process.clone());
            state.is_over
        };
        if is_over {
            // Whoever ends them may have looked already.
            process.cut();
        }
        self.watch(number, process)?;
        told.map_err(|error| LaunchError(format!("cannot tell {number} who it is: {error}")))
    }

    /// Waits for the end of a process on a thread of its own: so it is known at once, and how.
    fn watch(self: &Arc<Self>, number: WorkerId, process: Arc<Process>) -> Result<(), LaunchError> {
        let (shared, workers) = (self.shared.clone(), Arc::downgrade(self));
        let mail = Arc::downgrade(&self.mail);
        let watch = move || {
            let ended = process.wait();
            let signal = ended.as_ref().ok().and_then(ExitStatus::signal);
            let how = ended.map_or_else(|error| format!("its end is unknown: {error}"), describe);
            let now = workers.upgrade().map_or(Duration::ZERO, |workers| workers.began.elapsed());
            let (how, verdict) = shared.lock().on_end(now, number, how);
            shared.changed.notify_all();
            // In this order: what it said last is heard first, and the signal is known before the connection is lost.
            inbox::tell(Input::Gone { worker: number, signal, how, is_cut_off: false });
            if let Some(mail) = mail.upgrade() {
                mail.dismiss(number);
            }
            match verdict {
                Verdict::Replace { after } => replace(&workers, &shared, after),
                Verdict::GiveUp(why) => eprintln!("{why}"),
                Verdict::Leave => {}
            }
        };
        let started = std::thread::Builder::new().name(format!("watch-{number}")).spawn(watch);
        started.map(drop).map_err(|error| LaunchError(format!("cannot watch {number}: {error}")))
    }

    /// Ends them, in order; and those that do not, in disorder.
    pub(super) fn end(&self) {
        let mut state = self.shared.lock();
        state.is_over = true;
        let workers: Vec<WorkerId> = state.running.keys().copied().collect();
        drop(state);
        self.shared.changed.notify_all();
        workers.into_iter().for_each(|worker| self.mail.send(worker, Message::Stop));
        for (patience, then) in Ends::DEFAULT.steps() {
            let left: Vec<Arc<Process>> = self.shared.until_none_runs(patience);
            left.iter().for_each(|process| then(process));
        }
        self.mail.close();
        inbox::stop();
        self.folder.remove();
    }
}

/// Starts a worker in place of one that has ended, after some time, unless all of them end.
fn replace(workers: &Weak<Workers>, shared: &Shared, after: Duration) {
    let is_over = |state: &mut State| !state.is_over;
    let state = shared.lock();
    let waited = shared.changed.wait_timeout_while(state, after, is_over);
    let is_over = waited.unwrap_or_else(PoisonError::into_inner).0.is_over;
    let Some(workers) = workers.upgrade().filter(|_| !is_over) else { return };
    match workers.start() {
        Ok(number) => drop(shared.lock().replacing.insert(number)),
        Err(error) => eprintln!("a worker that has ended is not replaced: {error}"),
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until none of them runs. Gives those that do all the same.
    fn until_none_runs(&self, patience: Duration) -> Vec<Arc<Process>> {
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

    /// A process has ended. Gives how, in words, and what is to be done about it.
    fn on_end(&mut self, now: Duration, number: WorkerId, how: String) -> (String, Verdict) {
        self.running.remove(&number);
        let had_joined = self.met.remove(&number).is_some();
        for met in self.met.values_mut() {
            met.remove(&number);
        }
        let was_leaving = self.leaving.remove(&number);
        let replaces = self.replacing.remove(&number);
        let in_order = was_leaving && how == ENDED_WELL;
        let is_ours = self.is_over || in_order || !(had_joined || replaces);
        let verdict = match is_ours {
            true => Verdict::Leave,
            false => self.respawns.on_end(now, number, had_joined, &how),
        };
        let told = match &verdict {
            Verdict::GiveUp(why) => format!("{how}; {why}"),
            _ => how.clone(),
        };
        self.ended.insert(number, End { how, had_joined, in_order });
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_first();
        }
        (told, verdict)
    }
}

/// Who wants to know whom each worker has met.
static REGISTER: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

/// What the driver of worker 1 calls. Nobody else ends it.
const EXITS: Exits = Exits { tell: inbox::tell, met, stop: |_| (), cut_off };

/// A worker has met these.
fn met(worker: WorkerId, others: Vec<WorkerId>) {
    let shared = REGISTER.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    if let Some(shared) = shared {
        shared.lock().met.insert(worker, others.into_iter().collect());
        shared.changed.notify_all();
    }
}

/// A worker is out of reach for good. It may be stopped, and must not live on beside those that have its tasks now.
fn cut_off(worker: WorkerId) {
    let shared = REGISTER.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    let process = shared.and_then(|shared| shared.lock().running.get(&worker).cloned());
    process.inspect(|process| process.kill());
}

/// How a process ends that was told to.
const ENDED_WELL: &str = "its process ended with exit status 0";

/// How a process ended.
fn describe(status: ExitStatus) -> String {
    if status.success() {
        return ENDED_WELL.to_owned();
    }
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("its process ended with exit status {code}"),
        (None, Some(signal)) => format!("its process was killed by signal {signal}"),
        (None, None) => "its process ended".to_owned(),
    }
}

impl Folder {
    /// Makes a folder that only this user can look into, where the names of sockets can be short enough.
    fn new() -> Result<Folder, LaunchError> {
        let parent = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
        let parent = parent.unwrap_or_else(|| PathBuf::from("/tmp"));
        let name = format!("poniard-{}-{:08x}", std::process::id(), life()? as u32);
        let folder = parent.join(name);
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|error| LaunchError(format!("cannot make {}: {error}", folder.display())))?;
        Ok(Folder(folder))
    }

    fn remove(&self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A number for the life of a process: later ones are larger.
fn life() -> Result<u64, LaunchError> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map(|now| now.as_nanos() as u64)
        .map_err(|error| LaunchError(format!("the clock stands before 1970: {error}")))
}

impl LaunchError {
    /// There is no cluster to add workers to.
    pub(super) fn alone() -> LaunchError {
        LaunchError("this process has started no workers; start the cluster with some".to_owned())
    }

    /// There is none any more.
    fn over() -> LaunchError {
        LaunchError("the cluster was stopped".to_owned())
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LaunchError {}
