//! How a process that was started by hand, by Slurm or by mpirun, becomes a worker: it asks at the door of worker 1.

use super::birth::{Birth, Place};
use super::connection::{Connection, Unusable};
use super::door::Welcome;
use super::meeting::join_patience;
use super::rank::Rank;
use super::talk::{Spoken, TALK, Talk};
use crate::code::build;
use crate::environment::{settings_beside, variable};
use crate::settings::Settings;
use poniard_fabric::admission::{AdmissionError, apply};
use poniard_fabric::entropy::entropy;
use poniard_fabric::{Build, Identity, Token};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait before asking again whether worker 1 is there, at first and at most.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Why this process is no worker yet.
enum Stopped {
    /// Worker 1 is not there: it may come.
    Early(String),
    /// It will not change.
    Refused(String),
}

/// Finds worker 1 by the connection file, and learns from it who this is. Gives the line that ends with worker 1.
///
/// # Errors
/// When it is not there in time, or refuses this process.
pub(super) fn join(file: &Path) -> Result<(Birth, Box<dyn Spoken>), String> {
    let patience = join_patience(variable("PONIARD_JOIN_TIMEOUT"))?;
    let (deadline, mut pause) = (Instant::now() + patience, PAUSE);
    loop {
        match ask(file) {
            Ok(joined) => return Ok(joined),
            Err(Stopped::Refused(why)) => return Err(why),
            Err(Stopped::Early(why)) if Instant::now() >= deadline => {
                return Err(format!("{why} (for {patience:?})"));
            }
            Err(Stopped::Early(_)) => {
                thread::sleep(pause);
                pause = (2 * pause).min(PAUSE_MAX);
            }
        }
    }
}

fn ask(file: &Path) -> Result<(Birth, Box<dyn Spoken>), Stopped> {
    let connection = Connection::read(file).map_err(|why| match why {
        Unusable::Missing(_) => Stopped::Early(why.to_string()),
        Unusable::Refused(why) => Stopped::Refused(why),
    })?;
    let address = &connection.address;
    let stream = connect(address)
        .map_err(|error| Stopped::Early(format!("cannot reach worker 1 at {address}: {error}")))?;
    let (welcome, line) = speak(&stream, &connection).map_err(|why| {
        let said = format!("worker 1 at {address} does not let this process in: {why}");
        // It may have too much to do for that; what TLS does not like stays as it is.
        let may_pass =
            matches!(&why, AdmissionError::Broken(error) if error.kind() != io::ErrorKind::InvalidData);
        if may_pass { Stopped::Early(said) } else { Stopped::Refused(said) }
    })?;
    let birth = birth(connection, &welcome);
    birth.map(|birth| (birth, line)).map_err(Stopped::Refused)
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::other("it has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TALK) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn speak(stream: &TcpStream, connection: &Connection) -> Result<(Vec<u8>, Box<dyn Spoken>), AdmissionError> {
    let identity = Identity { build: Build(build()), token: Token::new(connection.token) };
    let talk = Talk::new(stream)?;
    let mut line: Box<dyn Spoken> = match &connection.tls {
        None => Box::new(talk),
        Some(tls) => Box::new(tls.connect(talk).map_err(io::Error::other)?),
    };
    let welcome = apply(&mut line, &identity, entropy()?)?;
    line.talk().set_patience(None);
    Ok((welcome, line))
}

fn birth(connection: Connection, welcome: &[u8]) -> Result<Birth, String> {
    let welcome: Welcome = postcard::from_bytes(welcome)
        .map_err(|error| format!("worker 1 says what cannot be read: {error}"))?;
    let Welcome { number, life, engine, no_worker_timeout, cancel_grace, worker_timeout } = welcome;
    let of_worker_1 = Settings {
        threads: 1,
        labels: Vec::new(),
        budget: 0,
        alone: 0,
        spill_folders: Vec::new(),
        spill_limit: 0,
        worker_timeout,
        respawn: 0,
        no_worker_timeout,
        cancel_grace,
    };
    let settings = settings_beside(of_worker_1, Rank::of_environment().map_or(1, |rank| rank.here))?;
    let place = Place::Server { engine, tls: connection.tls };
    Ok(Birth { number, life, token: connection.token, place, is_elsewhere: true, lines: None, settings })
}
