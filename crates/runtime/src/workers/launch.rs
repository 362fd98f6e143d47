//! Starting worker processes on this machine, and ending them.

use super::birth::Birth;
use super::driver::{Core, Exits, Input};
use super::inbox;
use super::life::member;
use super::mail::Mail;
use super::post::Post;
use crate::message::Message;
use crate::settings::Settings;
use poniard_fabric::entropy::entropy;
use poniard_model::WorkerId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The environment's mark of a worker; what it needs to know comes by its standard input.
pub(crate) const MARK: &str = "PONIARD_WORKER";
/// How long a worker may take to join: it is seconds only where the machine is very busy.
const JOINING: Duration = Duration::from_secs(60);
/// How long workers that are told to end may take, before their pipes are cut.
const ENDING: Duration = Duration::from_secs(5);

/// Worker processes of this machine, which this process has started. Dropped, they end.
#[derive(Debug)]
#[must_use = "dropping it ends the workers"]
pub(super) struct Workers {
    mail: Arc<Mail>,
    shared: Arc<Shared>,
    folder: Folder,
    token: [u8; 32],
    settings: Settings,
}

/// What those know of the workers that watch them.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The highest number that was given.
    last: u32,
    /// Those that run, each with the pipe by which it knows that this process is there: it ends when that goes.
    running: BTreeMap<WorkerId, Option<ChildStdin>>,
    /// Whom each has met.
    met: BTreeMap<WorkerId, BTreeSet<WorkerId>>,
    /// How those ended that did before they had joined.
    stillborn: BTreeMap<WorkerId, String>,
}

/// Workers could not be started.
#[derive(Debug)]
pub struct LaunchError(String);

/// A private folder, which goes with this.
#[derive(Debug)]
struct Folder(PathBuf);

impl Workers {
    /// Makes this process worker 1 of a cluster, as yet without others.
    ///
    /// # Errors
    /// When there is no place for the sockets by which they talk.
    pub(super) fn prepare(settings: Settings) -> Result<Workers, LaunchError> {
        let folder = Folder::new()?;
        let token = entropy().map_err(|error| LaunchError(format!("cannot read /dev/urandom: {error}")))?;
        let life = life()?;
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        shared.lock().last = WorkerId::FIRST.0;
        *REGISTER.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&shared);
        let mail = Mail::new();
        let me = member(WorkerId::FIRST, &settings);
        let core = Core::new(me, mail.clone(), settings.no_worker_timeout, EXITS);
        inbox::start(core).map_err(|error| LaunchError(format!("cannot start a thread: {error}")))?;
        // From here on it is all ended by dropping it.
        let workers = Workers { mail, shared, folder, token, settings };
        workers.mail.found(&workers.folder.0, token, life).map_err(LaunchError)?;
        Ok(workers)
    }

    /// Starts so many more workers, and waits until they have joined. Gives their numbers.
    ///
    /// # Errors
    /// When a process cannot be started, or ends before it has joined. Those that have joined stay.
    pub(super) fn add(&self, count: usize) -> Result<Vec<WorkerId>, LaunchError> {
        let mut begun = Vec::new();
        for _ in 0..count {
            begun.push(self.start()?);
        }
        let deadline = Instant::now() + JOINING;
        let mut state = self.shared.lock();
        loop {
            if let Some((worker, how)) =
                begun.iter().find_map(|worker| Some((worker, state.stillborn.get(worker)?)))
            {
                return Err(LaunchError(format!("{worker} ended before it had joined: {how}")));
            }
            let missing = begun.iter().find(|worker| !state.has_joined(**worker));
            let Some(missing) = missing else { return Ok(begun) };
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Err(LaunchError(format!("{missing} has not joined within {JOINING:?}")));
            };
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Starts one process.
    fn start(&self) -> Result<WorkerId, LaunchError> {
        let number = {
            let mut state = self.shared.lock();
            state.last += 1;
            WorkerId(state.last)
        };
        // The file that runs, even if another has taken its name since.
        let mut command = Command::new("/proc/self/exe");
        if let Some(name) = std::env::args_os().next() {
            command.arg0(name);
        }
        command.env(MARK, "1").stdin(Stdio::piped());
        // A Ctrl-C in the terminal is for worker 1, which ends the others in order.
        command.process_group(0);
        let child = command.spawn();
        let mut child = child
            .map_err(|error| LaunchError(format!("cannot start {number} from /proc/self/exe: {error}")))?;
        let mut pipe = child.stdin.take().expect("it was asked for");
        let birth = Birth {
            number,
            life: life()?,
            token: self.token,
            folder: self.folder.0.clone(),
            settings: self.settings.clone(),
        };
        let told = birth.write(&mut pipe);
        self.shared.lock().running.insert(number, Some(pipe));
        self.watch(number, child)?;
        told.map_err(|error| LaunchError(format!("cannot tell {number} who it is: {error}")))?;
        Ok(number)
    }

    /// Waits for the end of a process on a thread of its own: so it is known at once, and how.
    fn watch(&self, number: WorkerId, mut child: Child) -> Result<(), LaunchError> {
        let (shared, mail) = (self.shared.clone(), Arc::downgrade(&self.mail));
        let watch = move || {
            let ended = child.wait();
            let signal = ended.as_ref().ok().and_then(ExitStatus::signal);
            let how = ended.map_or_else(|error| format!("its end is unknown: {error}"), describe);
            {
                let mut state = shared.lock();
                state.running.remove(&number);
                if state.met.remove(&number).is_none() {
                    state.stillborn.insert(number, how);
                }
                for met in state.met.values_mut() {
                    met.remove(&number);
                }
            }
            shared.changed.notify_all();
            // In this order: what it said last is heard first, and the signal is known before the connection is lost.
            inbox::tell(Input::Gone { worker: number, signal });
            if let Some(mail) = mail.upgrade() {
                mail.dismiss(number);
            }
        };
        let started = std::thread::Builder::new().name(format!("watch-{number}")).spawn(watch);
        started.map(drop).map_err(|error| LaunchError(format!("cannot watch {number}: {error}")))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a worker and all others know each other.
    fn has_joined(&self, worker: WorkerId) -> bool {
        let others = self.running.keys().chain([&WorkerId::FIRST]).filter(|other| **other != worker);
        let knows =
            |one, other| self.met.get(one).is_some_and(|met: &BTreeSet<WorkerId>| met.contains(other));
        others.into_iter().all(|other| knows(&worker, other) && knows(other, &worker))
    }
}

/// Who wants to know whom each worker has met.
static REGISTER: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

/// What the driver of worker 1 calls. Nobody else ends it.
const EXITS: Exits = Exits { tell: inbox::tell, met, stop: |_| () };

/// A worker has met these.
fn met(worker: WorkerId, others: Vec<WorkerId>) {
    let shared = REGISTER.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    if let Some(shared) = shared {
        shared.lock().met.insert(worker, others.into_iter().collect());
        shared.changed.notify_all();
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let workers: Vec<WorkerId> = self.shared.lock().running.keys().copied().collect();
        workers.into_iter().for_each(|worker| self.mail.send(worker, Message::Stop));
        let deadline = Instant::now() + ENDING;
        let mut state = self.shared.lock();
        while !state.running.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // They end when the pipe does.
                state.running.values_mut().for_each(|pipe| *pipe = None);
                break;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.mail.close();
        inbox::stop();
    }
}

/// How a process ended.
fn describe(status: ExitStatus) -> String {
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
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
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
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LaunchError {}
