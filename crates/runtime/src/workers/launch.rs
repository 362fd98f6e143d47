//! Starting worker processes, on this machine and on others, and ending them.

use super::birth::{Birth, Place};
use super::door::{Door, Ground};
use super::driver::{Core, Input, Patience};
use super::engine::{FIRST, Reach};
use super::inbox;
use super::job::{Job, job};
use super::life::member;
use super::mail::Mail;
use super::meeting::{Doorway, Meeting};
use super::process::{BORN, Ends, MARK, Process};
use super::respawn::Verdict;
use super::roll::{EXITS, Ended, JOINING, LaunchError, Shared, State, describe, life};
use crate::message::Message;
use crate::settings::Settings;
use poniard_fabric::Timing;
use poniard_fabric::entropy::entropy;
use poniard_model::WorkerId;
use poniard_store::own_user;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

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
    /// Where `mpirun` has started all of them, for so long they are waited for.
    of_job: Option<(&'static Job, Duration)>,
    door: Mutex<Option<Door>>,
}

/// A private folder, which goes with this.
#[derive(Debug)]
struct Folder(PathBuf);

/// What every cluster has.
struct Beginning {
    token: [u8; 32],
    life: u64,
    shared: Arc<Shared>,
    mail: Arc<Mail>,
}

impl Beginning {
    /// Starts the driver, with lines for large values if there are to be other servers.
    fn of(settings: &Settings, ground: Option<&Ground>) -> Result<Beginning, LaunchError> {
        let token = entropy().map_err(|error| LaunchError(format!("cannot read /dev/urandom: {error}")))?;
        let life = life()?;
        let shared = Shared::new(settings.respawn);
        let mail = Mail::new();
        let me = member(WorkerId::FIRST, settings);
        let (first, limit, budget) = (WorkerId::FIRST, settings.worker_timeout, settings.budget);
        let lines = ground.and_then(|ground| {
            Core::lines(Ok(ground.site(first)), first, token, limit, budget, inbox::tell_of_line)
        });
        let core = Core::new(me, mail.clone(), Patience::of(settings), EXITS).with_lines(lines);
        inbox::start(core).map_err(|error| LaunchError(format!("cannot start a thread: {error}")))?;
        Ok(Beginning { token, life, shared, mail })
    }
}

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
        match meeting {
            None => Workers::prepare_here(settings, count, None),
            Some(Meeting::Door(door)) => Workers::prepare_here(settings, count, Some(door)),
            Some(Meeting::Job { .. }) if count > 0 => Err(LaunchError::of_job()),
            Some(Meeting::Job { patience, .. }) => Workers::prepare_in_job(settings, patience),
        }
    }

    /// In the job of this process, the others of which are told who they are.
    fn prepare_in_job(settings: Settings, patience: Duration) -> Result<Arc<Workers>, LaunchError> {
        let job = job().expect("they meet in it");
        let Beginning { token, life, shared, mail } = Beginning::of(&settings, None)?;
        let numbers: Vec<WorkerId> = (1..job.size()).map(|_| shared.number()).collect();
        for number in &numbers {
            shared.begin(*number, Process::Rank);
        }
        let found = mail.found_in(job, token, life, Timing::with_limit(settings.worker_timeout));
        job.begin(|rank| {
            let (number, settings) = (numbers[rank - 1], settings.clone());
            Birth { number, life, token, place: Place::Job, is_elsewhere: true, lines: None, settings }
        });
        let of_job = Some((job, patience));
        let (folder, ground, began, door) = (None, None, Instant::now(), Mutex::default());
        let workers = Workers { mail, shared, folder, token, settings, began, ground, of_job, door };
        if let Err(error) = found {
            workers.end();
            return Err(LaunchError(error));
        }
        Ok(Arc::new(workers))
    }

    /// With sockets for those of this machine, and for those of other servers if there are to be any.
    fn prepare_here(
        settings: Settings,
        count: usize,
        door: Option<Doorway>,
    ) -> Result<Arc<Workers>, LaunchError> {
        let has_socket = door.as_ref().is_none_or(|door| count > 0 && !door.has_hosts());
        let mut ground = door.map(Ground::prepare).transpose()?;
        let folder = Folder::new()?;
        let Beginning { token, life, shared, mail } = Beginning::of(&settings, ground.as_ref())?;
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
        let of_job = None;
        let workers = Workers { mail, shared, folder, token, settings, began, ground, of_job, door };
        if let Some(error) = failed {
            workers.end();
            return Err(error);
        }
        Ok(Arc::new(workers))
    }

    /// Waits for those that others start and that were announced.
    ///
    /// # Errors
    /// When they do not come.
    pub(super) fn wait(&self) -> Result<(), LaunchError> {
        if let Some((job, patience)) = self.of_job {
            return self.shared.wait_for_joiners(job.size() - 1, "that mpirun has started", patience);
        }
        self.ground.as_ref().map_or(Ok(()), |ground| ground.wait(&self.shared))
    }

    /// Starts so many more workers, and waits until they have joined. Gives their numbers.
    ///
    /// # Errors
    /// When a process cannot be started, or ends before it has joined. Those that have joined stay.
    pub(super) fn add(self: &Arc<Self>, count: usize) -> Result<Vec<WorkerId>, LaunchError> {
        if self.of_job.is_some() && count > 0 {
            return Err(LaunchError::of_job());
        }
        let mut begun = Vec::new();
        for _ in 0..count {
            begun.push(self.start(None)?);
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

    /// Starts one process, where one was that it replaces.
    fn start(self: &Arc<Self>, instead_of: Option<WorkerId>) -> Result<WorkerId, LaunchError> {
        let number = self.shared.number();
        let place = self.shared.lock().place(number, instead_of);
        {
            let mut state = self.shared.lock();
            if state.is_over {
                return Err(LaunchError::over());
            }
            state.starting += 1;
        }
        let started = self.start_as(number, place);
        self.shared.lock().starting -= 1;
        self.shared.changed.notify_all();
        started.map(|()| number)
    }

    fn start_as(self: &Arc<Self>, number: WorkerId, place: WorkerId) -> Result<(), LaunchError> {
        let life = life()?;
        let host = self.ground.as_ref().and_then(|ground| ground.host(place));
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
            (None, None) => unreachable!("none is started in a job"),
        };
        let (is_elsewhere, settings) = (host.is_some(), self.settings.clone());
        // On other servers it finds that out itself.
        let lines = self.ground.as_ref().filter(|_| self.folder.is_some()).map(|ground| ground.site(number));
        let birth = Birth { number, life, token: self.token, place, is_elsewhere, lines, settings };
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
            let ended = shared.lock().on_end(now, number, how);
            shared.changed.notify_all();
            ended.announce();
            let Ended { how, verdict, .. } = ended;
            // In this order: what it said last is heard first, and the signal is known before the connection is lost.
            inbox::tell(Input::Gone { worker: number, signal, how, is_cut_off: false });
            if let Some(mail) = mail.upgrade() {
                mail.dismiss(number);
            }
            if let Verdict::Replace { after } = verdict {
                replace(&workers, &shared, number, after);
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
fn replace(workers: &Weak<Workers>, shared: &Shared, ended: WorkerId, after: Duration) {
    let is_over = |state: &mut State| !state.is_over;
    let state = shared.lock();
    let waited = shared.changed.wait_timeout_while(state, after, is_over);
    let is_over = waited.unwrap_or_else(PoisonError::into_inner).0.is_over;
    let Some(workers) = workers.upgrade().filter(|_| !is_over) else { return };
    match workers.start(Some(ended)) {
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
        sweep(&parent);
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

/// A folder of a cluster of which every process was killed at once: nobody was left to remove it. Named by whom it was made.
fn sweep(parent: &Path) {
    let is_dead = |process: &str| !process.is_empty() && !Path::new("/proc").join(process).exists();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let words: Vec<&str> = name.split('-').collect();
        let ["poniard", process, life] = words[..] else { continue };
        let is_name = process.bytes().all(|byte| byte.is_ascii_digit()) && life.len() == 8;
        let is_ours = entry.metadata().is_ok_and(|there| there.is_dir() && there.uid() == own_user());
        // Where processes are numbered anew (in a container) its worker 1 may live all the same: then it listens.
        let listens = || UnixStream::connect(entry.path().join(FIRST)).is_ok();
        let is_new = || entry.metadata().is_ok_and(|there| there.modified().is_ok_and(is_recent));
        if is_name && is_ours && is_dead(process) && !listens() && !is_new() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether its maker may be about to listen there.
fn is_recent(time: SystemTime) -> bool {
    time.elapsed().is_ok_and(|age| age < Duration::from_secs(2))
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
    fn a_folder_that_killed_processes_have_left_is_swept_away_and_no_other() {
        let parent = std::env::temp_dir().join(format!("poniard-sweep-{}", std::process::id()));
        fs::create_dir(&parent).unwrap();
        // Numbers of processes end far below.
        let dead = [parent.join("poniard-999999999-0123abcd"), parent.join("poniard-999999998-0123abcd")];
        let kept = [
            parent.join(format!("poniard-{}-0123abcd", std::process::id())),
            parent.join("poniard-999999997-0123abcd"),
            parent.join("poniard-x-0123abcd"),
            parent.join("other-999999999-0123abcd"),
        ];
        dead.iter().chain(&kept).for_each(|folder| fs::create_dir(folder).unwrap());
        fs::write(dead[1].join("secret-1-1"), "x").unwrap();
        let old = fs::FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(60));
        // One of the kept is new, and may have its socket in a moment.
        for folder in dead.iter().chain(&kept[2..]).chain(&kept[..1]) {
            fs::File::open(folder).unwrap().set_times(old).unwrap();
        }
        // And one is of a process that this one cannot see.
        let lives = parent.join("poniard-999999996-0123abcd");
        fs::create_dir(&lives).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(lives.join(FIRST)).unwrap();
        fs::File::open(&lives).unwrap().set_times(old).unwrap();
        sweep(&parent);
        assert!(!dead.iter().any(|folder| folder.exists()));
        assert!(kept.iter().all(|folder| folder.exists()) && lives.exists());
        fs::remove_dir_all(&parent).unwrap();
    }

    #[test]
    fn a_command_for_another_server_keeps_each_word_one_word() {
        for word in ["/a b/c", "it's", "$(x)", "a;b", "\"", "\\"] {
            let line = format!("printf %s {}", quoted(word.as_ref()).unwrap());
            let said = Command::new("sh").args(["-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), word);
        }
    }
}
