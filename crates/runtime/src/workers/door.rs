//! The door of worker 1, by which processes of other servers come in: who belongs here is told which worker it is.
//!
//! A stranger has [`TALK`] to prove himself, at most [`STRANGERS_MAX`] are heard at a time, and what is told of those who are turned
//! away is at most [`LINES_MAX`] lines in a minute. The connection stays: when it ends, the process on one side has.

use super::connection::{Connection, Written};
use super::engine::Outside;
use super::mail::Mail;
use super::meeting::{Doorway, Listen};
use super::process::Process;
use super::roll::{JOINING, LaunchError, Shared, life};
use super::talk::{self, Spoken, TALK, Talk};
use crate::code::build;
use crate::settings::Settings;
use poniard_fabric::admission::{AdmissionError, admit};
use poniard_fabric::entropy::entropy;
use poniard_fabric::tls::Tls;
use poniard_fabric::{Build, Identity, Token};
use poniard_model::WorkerId;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Strangers that are heard at a time: all workers of a large cluster that starts at once, one after another.
const STRANGERS_MAX: usize = 64;
/// Lines in a minute about those who were turned away.
const LINES_MAX: usize = 10;
/// How long the door rests when the system has nothing left for another connection.
const REST: Duration = Duration::from_millis(100);

/// What somebody learns who is let in.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Welcome {
    /// Its number and its life.
    pub(super) number: WorkerId,
    pub(super) life: u64,
    /// Where the engine of worker 1 listens.
    pub(super) engine: String,
    pub(super) no_worker_timeout: Duration,
    pub(super) worker_timeout: Duration,
}

/// What is prepared before the engine starts.
#[derive(Debug)]
pub(super) struct Ground {
    meeting: Doorway,
    /// The port of the engine.
    engine: SocketAddr,
    listener: Option<TcpListener>,
    tls: Option<(Tls, Tls)>,
}

/// An open door. Dropped, it is closed.
#[derive(Debug)]
pub(super) struct Door {
    desk: Arc<Desk>,
    address: SocketAddr,
    keeper: Option<JoinHandle<()>>,
    _file: Written,
}

/// What those need who let others in.
#[derive(Debug)]
struct Desk {
    identity: Identity,
    tls: Option<Tls>,
    engine: String,
    no_worker_timeout: Duration,
    worker_timeout: Duration,
    roll: Arc<Shared>,
    mail: Weak<Mail>,
    strangers: AtomicUsize,
    is_closed: AtomicBool,
    told: Mutex<Told>,
}

/// What was told in this minute of those who were turned away.
#[derive(Debug)]
struct Told {
    since: Instant,
    lines: usize,
    untold: usize,
}

impl Ground {
    /// Finds free ports, and makes certificates.
    ///
    /// # Errors
    /// When the address is not of this server, or its port is taken.
    pub(super) fn prepare(meeting: Doorway) -> Result<Ground, LaunchError> {
        let Listen { address, is_tls, .. } = meeting.listen;
        let taken = |address: SocketAddr| {
            move |error: io::Error| LaunchError(format!("cannot listen at {address}: {error}"))
        };
        let listener = match meeting.file {
            Some(_) => Some(TcpListener::bind(address).map_err(taken(address))?),
            None => None,
        };
        let mut engine = address;
        if address.port() != 0 {
            engine.set_port(address.port() + 1);
        }
        // Bound to see whether it is free, and which one if any will do; the engine binds it again.
        let probe = TcpListener::bind(engine).map_err(taken(engine))?;
        let engine = probe.local_addr().map_err(taken(engine))?;
        let tls = match is_tls {
            true => Some(Tls::of_new_cluster().map_err(|error| LaunchError(error.to_string()))?),
            false => None,
        };
        Ok(Ground { meeting, engine, listener, tls })
    }

    /// Where the engine of worker 1 is to listen.
    pub(super) fn outside(&self) -> Outside {
        let tls = self.tls.as_ref().map(|(first, _)| first.clone());
        Outside { address: self.engine, tls }
    }

    /// What another server calls the engine of worker 1, and what it shows there.
    pub(super) fn engine(&self) -> (String, Option<Tls>) {
        (self.meeting.listen.told(self.engine.port()), self.tls.as_ref().map(|(_, others)| others.clone()))
    }

    /// Opens the door, if others are to come by one, and writes the file by which they find it.
    ///
    /// # Errors
    /// When the file cannot be written, or the system gives no thread.
    pub(super) fn open(
        &mut self,
        token: [u8; 32],
        settings: &Settings,
        roll: &Arc<Shared>,
        mail: &Arc<Mail>,
    ) -> Result<Option<Door>, LaunchError> {
        let (Some(listener), Some(file)) = (self.listener.take(), &self.meeting.file) else {
            return Ok(None);
        };
        let address =
            listener.local_addr().map_err(|error| LaunchError(format!("cannot listen: {error}")))?;
        let (engine, tls) = self.engine();
        if !self.meeting.listen.is_tls && !address.ip().is_loopback() {
            eprintln!(
                "workers talk at {address} without encryption, as was asked for: others there can read and change it"
            );
        }
        make_parent(file)?;
        let connection = Connection { address: self.meeting.listen.told(address.port()), token, tls };
        let file = connection.write(file).map_err(LaunchError)?;
        let desk = Arc::new(Desk {
            identity: Identity { build: Build(build()), token: Token::new(token) },
            tls: self.outside().tls,
            engine,
            no_worker_timeout: settings.no_worker_timeout,
            worker_timeout: settings.worker_timeout,
            roll: roll.clone(),
            mail: Arc::downgrade(mail),
            strangers: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
            told: Mutex::new(Told { since: Instant::now(), lines: 0, untold: 0 }),
        });
        let kept = desk.clone();
        let keeper = thread::Builder::new().name("door".to_owned()).spawn(move || kept.keep(&listener));
        let keeper = keeper.map_err(|error| LaunchError(format!("cannot start a thread: {error}")))?;
        Ok(Some(Door { desk, address, keeper: Some(keeper), _file: file }))
    }

    /// Waits for those that were announced.
    ///
    /// # Errors
    /// When they do not come.
    pub(super) fn wait(&self, roll: &Shared) -> Result<(), LaunchError> {
        roll.wait_for_joiners(self.meeting.joiners, "of other servers", self.meeting.patience)
    }

    /// Where a worker of this number is started, if not here: the command, and the host.
    pub(super) fn host(&self, number: WorkerId) -> Option<(&[String], &str)> {
        let hosts = &self.meeting.hosts;
        let turn = (number.0 as usize - 2).checked_rem(hosts.len())?;
        Some((&self.meeting.ssh, &hosts[turn]))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.desk.is_closed.store(true, Ordering::Relaxed);
        // So that the keeper looks.
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let is_woken = TcpStream::connect_timeout(&address, TALK).is_ok();
        if let Some(keeper) = self.keeper.take().filter(|_| is_woken) {
            keeper.join().ok();
        }
    }
}

impl Desk {
    /// Lets others in until the door is closed.
    fn keep(self: &Arc<Desk>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.is_closed.load(Ordering::Relaxed) {
                return;
            }
            let Ok(stream) = stream else {
                // Descriptors are used up, or the like: those who wait outside go on waiting.
                thread::sleep(REST);
                continue;
            };
            if self.strangers.fetch_add(1, Ordering::Relaxed) >= STRANGERS_MAX {
                self.strangers.fetch_sub(1, Ordering::Relaxed);
                self.complain(&stream, "too many others are being heard");
                continue;
            }
            let desk = self.clone();
            let heard = thread::Builder::new().name("visitor".to_owned()).spawn(move || desk.hear(stream));
            if heard.is_err() {
                self.strangers.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Hears somebody, and then waits for its end if it is let in.
    fn hear(&self, stream: TcpStream) {
        let met = self.greet(&stream).and_then(|mut line| Ok((self.admit(&stream, &mut *line)?, line)));
        self.strangers.fetch_sub(1, Ordering::Relaxed);
        match met {
            Ok((worker, line)) => self.attend(worker, &stream, line),
            Err(why) => {
                self.complain(&stream, why);
                talk::part(&stream);
            }
        }
    }

    fn greet(&self, stream: &TcpStream) -> Result<Box<dyn Spoken>, AdmissionError> {
        let talk = Talk::new(stream)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(talk)) };
        let mut talk = tls.accept(talk).map_err(io::Error::other)?;
        // A handshake of its own, so that what is wrong with it is told as such.
        talk.conn.complete_io(&mut talk.sock)?;
        Ok(Box::new(talk))
    }

    fn admit(&self, stream: &TcpStream, mut talk: &mut dyn Spoken) -> Result<WorkerId, AdmissionError> {
        let process = Process::elsewhere(stream.try_clone()?);
        let life = life()?;
        let mut number = WorkerId::FIRST;
        admit(&mut talk, &self.identity, entropy()?, || {
            number = self.roll.number();
            let welcome = Welcome {
                number,
                life,
                engine: self.engine.clone(),
                no_worker_timeout: self.no_worker_timeout,
                worker_timeout: self.worker_timeout,
            };
            postcard::to_allocvec(&welcome).expect("there is memory for a few numbers")
        })?;
        self.roll.begin(number, process);
        Ok(number)
    }

    /// Waits for the end of a worker that was let in.
    fn attend(&self, worker: WorkerId, stream: &TcpStream, mut line: Box<dyn Spoken>) {
        let deadline = Instant::now() + JOINING;
        let mut how = "its connection ended".to_owned();
        let mut nothing = [0; 64];
        loop {
            let has_joined = self.roll.lock().has_joined(worker);
            let left = deadline.saturating_duration_since(Instant::now());
            if !has_joined && left.is_zero() {
                how = format!("it was let in, and has not joined within {JOINING:?}");
                break;
            }
            line.talk().set_patience((!has_joined).then(|| left.min(TALK)));
            match line.read(&mut nothing) {
                Ok(1..) => {}
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Ok(0) | Err(_) => break,
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
        self.roll.end_elsewhere(worker, how, &self.mail);
    }

    /// Says in a line that somebody was turned away, unless enough was said of that.
    fn complain(&self, stream: &TcpStream, why: impl Display) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.since.elapsed() > Duration::from_secs(60) {
            (told.since, told.lines) = (Instant::now(), 0);
        }
        if told.lines >= LINES_MAX {
            told.untold += 1;
            return;
        }
        told.lines += 1;
        let untold = std::mem::take(&mut told.untold);
        drop(told);
        let who = stream.peer_addr().map_or_else(|_| "somebody".to_owned(), |address| address.to_string());
        let more = if untold == 0 {
            String::new()
        } else {
            format!(" (and {untold} others since the last such line)")
        };
        eprintln!("w1 turned {who} away: {why}{more}");
    }
}

/// Makes the folder of a file, for this user alone, if it is not there.
fn make_parent(file: &Path) -> Result<(), LaunchError> {
    use std::os::unix::fs::DirBuilderExt;
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| LaunchError(format!("cannot make {}: {error}", folder.display())))
}
