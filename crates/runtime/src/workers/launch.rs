//! Starting worker processes, on this machine and on others, and ending them.

use super::birth::{Birth, Place};
use super::door::{Door, Ground};
use super::driver::{Core, Input};
use super::engine::Reach;
use super::inbox;
use super::life::member;
use super::mail::Mail;
use super::meeting::Meeting;
use super::process::{BORN, Ends, MARK, Process};
use super::respawn::Verdict;
use super::roll::{EXITS, JOINING, LaunchError, Shared, State, describe, life};
use crate::message::Message;
use crate::settings::Settings;
use poniard_fabric::Timing;
use poniard_fabric::entropy::entropy;
use poniard_model::WorkerId;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// What is said to worker 1 alone.
const OF_WORKER_1: [&str; 5] =
    ["PONIARD_LISTEN", "PONIARD_CONNECTION", "PONIARD_JOINERS", "PONIARD_HOSTS", "PONIARD_WORKERS"];
/// What is said to each process about its size.
const OF_THE_MACHINE: [&str; 5] =
    ["PONIARD_THREADS", "PONIARD_MEMORY", "PONIARD_LABELS", "PONIARD_SPILL_DIR", "PONIARD_SPILL_LIMIT"];

/// Worker processes of this machine, which this process has started.
#[derive(Debug)]
pub(super) struct Workers {
    pub(super) mail: Arc<Mail>,
    pub(super) shared: Arc<Shared>,
    /// Where the others of this machine find its socket. Without one, whoever kills this process leaves nothing behind.
    folder: Option<Folder>,
    token: [u8; 32],
    settings: Settings,
    began: Instant,
    /// Where other servers are concerned.
    ground: Option<Ground>,
    door: Mutex<Option<Door>>,
}

/// A private folder, which goes with this.
#[derive(Debug)]
struct Folder(PathBuf);

impl Workers {
    /// Makes this process worker 1 of a cluster, as yet without others; so many are to be started.
    ///
    /// # Errors
    /// When there is no place for the sockets by which they talk.
    pub(super) fn prepare(
        settings: Settings,
        count: usize,
        meeting: Option<Meeting>,
    ) -> Result<Arc<Workers>, LaunchError> {
        let has_socket = meeting.as_ref().is_none_or(|meeting| count > 0 && !meeting.has_hosts());
        let mut ground = meeting.map(Ground::prepare).transpose()?;
        let folder = Folder::new()?;
        let token = entropy().map_err(|error| LaunchError(format!("cannot read /dev/urandom: {error}")))?;
        let life = life()?;
        let shared = Shared::new(settings.respawn);
        let mail = Mail::new();
        let me = member(WorkerId::FIRST, &settings);
        let core = Core::new(me, mail.clone(), settings.no_worker_timeout, EXITS);
        inbox::start(core).map_err(|error| LaunchError(format!("cannot start a thread: {error}")))?;
        let reach = Reach { folder: &folder.0, has_socket, outside: ground.as_ref().map(Ground::outside) };
        let found = mail.found(reach, token, life, Timing::with_limit(settings.worker_timeout));
        let door = found.map_err(LaunchError).and_then(|()| match &mut ground {
            Some(ground) => ground.open(token, &settings, &shared, &mail),
            None => Ok(None),
        });
        let (door, failed) = match door {
            Ok(door) => (door, None),
            Err(error) => (None, Some(error)),
        };
        let (folder, began, door) = (has_socket.then_some(folder), Instant::now(), Mutex::new(door));
        let workers = Workers { mail, shared, folder, token, settings, began, ground, door };
        if let Some(error) = failed {
            workers.end();
            return Err(error);
        }
        Ok(Arc::new(workers))
    }

    /// Waits for those of other servers that were announced.
    ///
    /// # Errors
    /// When they do not come.
    pub(super) fn wait(&self) -> Result<(), LaunchError> {
        self.ground.as_ref().map_or(Ok(()), |ground| ground.wait(&self.shared))
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
        let number = self.shared.number();
        {
            let mut state = self.shared.lock();
            if state.is_over {
                return Err(LaunchError::over());
            }
            state.starting += 1;
        }
        let started = self.start_as(number);
        self.shared.lock().starting -= 1;
        self.shared.changed.notify_all();
        started.map(|()| number)
    }

    fn start_as(self: &Arc<Self>, number: WorkerId) -> Result<(), LaunchError> {
        let life = life()?;
        let host = self.ground.as_ref().and_then(|ground| ground.host(number));
        let command = match host {
            Some((ssh, host)) => elsewhere(ssh, host)?,
            None => again(),
        };
        let name = command.get_program().to_string_lossy().into_owned();
        let process = Process::start(command)
            .map_err(|error| LaunchError(format!("cannot start {number} by {name}: {error}")))?;
        let place = match (&self.folder, &self.ground) {
            (Some(folder), _) => Place::Here(folder.0.clone()),
            (None, Some(ground)) => {
                let (engine, tls) = ground.engine();
                Place::Server { engine, tls }
            }
            (None, None) => unreachable!("worker 1 is somewhere"),
        };
        let (is_elsewhere, settings) = (host.is_some(), self.settings.clone());
        let birth = Birth { number, life, token: self.token, place, is_elsewhere, settings };
        let told = process.tell(&birth);
        let process = self.shared.begin(number, process);
        if told.is_err() {
            // It is at its end, and how that came says more than the error does.
            process.cut();
        }
        self.watch(number, process)
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
        let door = self.door.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(door);
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
        self.folder.iter().for_each(Folder::remove);
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

/// Another process of the file that runs, even if another has taken its name since.
fn again() -> Command {
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    command.env(MARK, BORN);
    // It is nobody's worker 1.
    for name in OF_WORKER_1 {
        command.env_remove(name);
    }
    command
}

/// The same program on another server, in the same folder there. What is secret is told by the standard input.
fn elsewhere(ssh: &[String], host: &str) -> Result<Command, LaunchError> {
    let unknown =
        |what: &'static str| move |error: io::Error| LaunchError(format!("{what} is unknown: {error}"));
    let program = std::env::current_exe().map_err(unknown("the name of this program"))?;
    let folder = std::env::current_dir().map_err(unknown("the folder in which this program runs"))?;
    let (program, folder) = (quoted(&program)?, quoted(&folder)?);
    let mut line = format!("cd {folder} && exec env {MARK}={BORN}");
    for name in OF_THE_MACHINE {
        if let Some(value) = std::env::var_os(name) {
            line.push_str(&format!(" {name}={}", quoted(value.as_ref())?));
        }
    }
    line.push_str(&format!(" {program}"));
    let (first, rest) = ssh.split_first().ok_or_else(|| LaunchError("PONIARD_SSH is empty".to_owned()))?;
    let mut command = Command::new(first);
    command.args(rest).arg(host).arg(line);
    Ok(command)
}

/// As one word of a shell.
fn quoted(word: &Path) -> Result<String, LaunchError> {
    let text = word.to_str().ok_or_else(|| {
        LaunchError(format!(
            "{} has bytes that are no text, and cannot be told to another server",
            word.display()
        ))
    })?;
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_for_another_server_keeps_each_word_one_word() {
        for word in ["/a b/c", "it's", "$(x)", "a;b", "\"", "\\"] {
            let line = format!("printf %s {}", quoted(word.as_ref()).unwrap());
            let said = Command::new("sh").args(["-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), word);
        }
    }
}
