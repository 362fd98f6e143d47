//! The door of worker 1, by which processes of other servers come in: who belongs here is told which worker it is.
//!
//! The connection stays: when it ends, the process on one side has.

use super::connection::{Connection, Written};
use super::engine::Outside;
use super::lines::Site;
use super::mail::Mail;
use super::meeting::{Doorway, Listen};
use super::process::Process;
use super::reception::{Greeted, Host, Reception};
use super::roll::{JOINING, LaunchError, Shared, life};
use super::talk::{Spoken, TALK};
use crate::settings::Settings;
use poniard_fabric::Identity;
use poniard_fabric::admission::{AdmissionError, admit};
use poniard_fabric::entropy::entropy;
use poniard_fabric::tls::Tls;
use poniard_model::WorkerId;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// What somebody learns who is let in.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Welcome {
    /// Its number and its life.
    pub(super) number: WorkerId,
    pub(super) life: u64,
    /// Where the engine of worker 1 listens.
    pub(super) engine: String,
    pub(super) no_worker_timeout: Duration,
    pub(super) cancel_grace: Duration,
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
    _reception: Reception,
    _file: Written,
}

/// What those need who let others in.
#[derive(Debug)]
struct Desk {
    engine: String,
    no_worker_timeout: Duration,
    cancel_grace: Duration,
    worker_timeout: Duration,
    roll: Arc<Shared>,
    mail: Weak<Mail>,
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

    /// Where a worker of this server listens for those of others that read what it has lent.
    pub(super) fn site(&self, worker: WorkerId) -> Site {
        let Listen { address, told, .. } = &self.meeting.listen;
        let tls = self
            .tls
            .as_ref()
            .map(|(first, others)| if worker == WorkerId::FIRST { first.clone() } else { others.clone() });
        Site { address: address.ip(), told: Some(told.clone()), tls }
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
        let desk = Desk {
            engine,
            no_worker_timeout: settings.no_worker_timeout,
            cancel_grace: settings.cancel_grace,
            worker_timeout: settings.worker_timeout,
            roll: roll.clone(),
            mail: Arc::downgrade(mail),
        };
        let me = WorkerId::FIRST.to_string();
        let reception = Reception::open(listener, me, token, self.outside().tls, desk);
        let reception = reception.map_err(|error| LaunchError(format!("cannot start a thread: {error}")))?;
        Ok(Some(Door { _reception: reception, _file: file }))
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

impl Host for Desk {
    type Guest = WorkerId;

    fn admit(
        &self,
        stream: &TcpStream,
        line: &mut Greeted,
        identity: &Identity,
    ) -> Result<WorkerId, AdmissionError> {
        let process = Process::elsewhere(stream.try_clone()?);
        let life = life()?;
        let mut number = WorkerId::FIRST;
        admit(line, identity, entropy()?, || {
            number = self.roll.number();
            let welcome = Welcome {
                number,
                life,
                engine: self.engine.clone(),
                no_worker_timeout: self.no_worker_timeout,
                cancel_grace: self.cancel_grace,
                worker_timeout: self.worker_timeout,
            };
            postcard::to_allocvec(&welcome).expect("there is memory for a few numbers")
        })?;
        self.roll.begin(number, process);
        Ok(number)
    }

    /// Waits for the end of a worker that was let in.
    fn attend(&self, worker: WorkerId, stream: &TcpStream, mut line: Greeted) {
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
}

/// Makes the folder of a file, for this user alone, if it is not there.
fn make_parent(file: &Path) -> Result<(), LaunchError> {
    use std::os::unix::fs::DirBuilderExt;
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| LaunchError(format!("cannot make {}: {error}", folder.display())))
}
