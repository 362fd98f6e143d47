//! Starting worker processes, on this machine and on others, and ending them.

use super::birth::{Birth, Place};
use super::door::{Door, Ground};
use super::driver::{Core, Exits};
use super::engine::Reach;
use super::inbox;
use super::life::member;
use super::mail::Mail;
use super::meeting::Meeting;
use super::post::Post;
use super::roll::{LaunchError, Line, Roll, life};
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
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// The environment's mark of a worker.
pub(crate) const MARK: &str = "PONIARD_WORKER";
/// Its value for one that learns what it needs to know by its standard input.
const BORN: &str = "1";
/// Its value for one that finds worker 1 by a connection file.
pub(crate) const JOINS: &str = "join";
/// What is said to worker 1 alone.
const OF_WORKER_1: [&str; 5] =
    ["PONIARD_LISTEN", "PONIARD_CONNECTION", "PONIARD_JOINERS", "PONIARD_HOSTS", "PONIARD_WORKERS"];
/// What is said to each process about its size.
const OF_THE_MACHINE: [&str; 5] =
    ["PONIARD_THREADS", "PONIARD_MEMORY", "PONIARD_LABELS", "PONIARD_SPILL_DIR", "PONIARD_SPILL_LIMIT"];
/// How long workers that are told to end may take, before their pipes are cut.
const ENDING: Duration = Duration::from_secs(5);

/// Worker processes of this machine, which this process has started. Dropped, they end.
#[derive(Debug)]
#[must_use = "dropping it ends the workers"]
pub(super) struct Workers {
    mail: Arc<Mail>,
    roll: Arc<Roll>,
    /// Where the others of this machine find its socket. Without one, whoever kills this process leaves nothing behind.
    folder: Option<Folder>,
    token: [u8; 32],
    settings: Settings,
    /// Where other servers are concerned.
    ground: Option<Ground>,
    door: Option<Door>,
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
    ) -> Result<Workers, LaunchError> {
        let has_socket = meeting.as_ref().is_none_or(|meeting| count > 0 && !meeting.has_hosts());
        let ground = meeting.map(Ground::prepare).transpose()?;
        let folder = Folder::new()?;
        let token = entropy().map_err(|error| LaunchError(format!("cannot read /dev/urandom: {error}")))?;
        let life = life()?;
        let roll = Arc::<Roll>::default();
        *REGISTER.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&roll);
        let mail = Mail::new();
        let me = member(WorkerId::FIRST, &settings);
        let core = Core::new(me, mail.clone(), settings.no_worker_timeout, EXITS);
        inbox::start(core).map_err(|error| LaunchError(format!("cannot start a thread: {error}")))?;
        // From here on it is all ended by dropping it.
        let mut workers = Workers { mail, roll, folder: Some(folder), token, settings, ground, door: None };
        workers.found(has_socket, life)?;
        if let Some(ground) = &mut workers.ground {
            workers.door = ground.open(token, &workers.settings, &workers.roll, &workers.mail)?;
        }
        Ok(workers)
    }

    fn found(&mut self, has_socket: bool, life: u64) -> Result<(), LaunchError> {
        let folder = &self.folder.as_ref().expect("it was just made").0;
        let reach = Reach { folder, has_socket, outside: self.ground.as_ref().map(Ground::outside) };
        let timing = Timing::with_limit(self.settings.silence);
        self.mail.found(reach, self.token, life, timing).map_err(LaunchError)?;
        if !has_socket {
            self.folder = None;
        }
        Ok(())
    }

    /// Waits for those of other servers that were announced.
    ///
    /// # Errors
    /// When they do not come.
    pub(super) fn wait(&self) -> Result<(), LaunchError> {
        self.ground.as_ref().map_or(Ok(()), |ground| ground.wait(&self.roll))
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
        self.roll.wait_until_joined(&begun)?;
        Ok(begun)
    }

    /// Starts one process.
    fn start(&self) -> Result<WorkerId, LaunchError> {
        let number = self.roll.number();
        let host = self.ground.as_ref().and_then(|ground| ground.host(number));
        let mut command = match host {
            Some((ssh, host)) => elsewhere(ssh, host)?,
            None => again(),
        };
        command.stdin(Stdio::piped());
        // A Ctrl-C in the terminal is for worker 1, which ends the others in order.
        command.process_group(0);
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn();
        let mut child =
            child.map_err(|error| LaunchError(format!("cannot start {number} by {name}: {error}")))?;
        let mut pipe = child.stdin.take().expect("it was asked for");
        let place = match (&self.folder, &self.ground) {
            (Some(folder), _) => Place::Here(folder.0.clone()),
            (None, Some(ground)) => {
                let (engine, tls) = ground.engine();
                Place::Server { engine, tls }
            }
            (None, None) => unreachable!("worker 1 is somewhere"),
        };
        let (is_elsewhere, settings) = (host.is_some(), self.settings.clone());
        let birth = Birth { number, life: life()?, token: self.token, place, is_elsewhere, settings };
        let told = birth.write(&mut pipe);
        self.roll.begin(number, Line::Pipe(pipe));
        self.watch(number, child)?;
        if told.is_err() {
            // It is at its end, and how that came says more than the error does.
            self.roll.hang_up(number);
        }
        Ok(number)
    }

    /// Waits for the end of a process on a thread of its own: so it is known at once, and how.
    fn watch(&self, number: WorkerId, mut child: Child) -> Result<(), LaunchError> {
        let (roll, mail) = (self.roll.clone(), Arc::downgrade(&self.mail));
        let watch = move || {
            let ended = child.wait();
            let signal = ended.as_ref().ok().and_then(ExitStatus::signal);
            let how = ended.map_or_else(|error| format!("its end is unknown: {error}"), describe);
            roll.end(number, signal, how, &mail);
        };
        let started = std::thread::Builder::new().name(format!("watch-{number}")).spawn(watch);
        started.map(drop).map_err(|error| LaunchError(format!("cannot watch {number}: {error}")))
    }
}

/// Who wants to know whom each worker has met.
static REGISTER: Mutex<Weak<Roll>> = Mutex::new(Weak::new());

/// What the driver of worker 1 calls. Nobody else ends it.
const EXITS: Exits = Exits { tell: inbox::tell, met, gone, stop: |_| () };

fn registered() -> Option<Arc<Roll>> {
    REGISTER.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
}

/// A worker has met these.
fn met(worker: WorkerId, others: Vec<WorkerId>) {
    registered().inspect(|roll| roll.met(worker, others));
}

/// A worker is gone.
fn gone(worker: WorkerId) {
    registered().inspect(|roll| roll.let_go(worker));
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.door = None;
        self.roll.running().into_iter().for_each(|worker| self.mail.send(worker, Message::Stop));
        if !self.roll.wait_until_empty(ENDING) {
            // They end when the pipe does.
            self.roll.let_all_go();
        }
        self.mail.close();
        inbox::stop();
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
