//! A port at which strangers are heard: who proves to belong to the cluster is let in, everybody else is turned away in words.
//!
//! A stranger has [`TALK`] to prove himself, at most [`STRANGERS_MAX`] are heard at a time, and what is told of those who are turned
//! away is at most [`LINES_MAX`] lines in a minute, at all ports of a process.

use super::talk::{self, Spoken, TALK, Talk};
use crate::code::build;
use poniard_fabric::admission::AdmissionError;
use poniard_fabric::tls::{Accepted, Tls};
use poniard_fabric::{Build, Identity, Token};
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Strangers that are heard at a time: all workers of a large cluster that starts at once, one after another.
const STRANGERS_MAX: usize = 64;
/// Lines in a minute about those who were turned away.
const LINES_MAX: usize = 10;
/// How long nobody is heard when the system has nothing left for another connection.
const REST: Duration = Duration::from_millis(100);

/// What becomes of those who come.
pub(super) trait Host: Send + Sync + 'static {
    /// Somebody who was let in.
    type Guest;

    /// Lets somebody in who proves to belong here.
    ///
    /// # Errors
    /// When he does not.
    fn admit(
        &self,
        stream: &TcpStream,
        line: &mut Greeted,
        identity: &Identity,
    ) -> Result<Self::Guest, AdmissionError>;

    /// Is with him until he goes.
    fn attend(&self, guest: Self::Guest, stream: &TcpStream, line: Greeted);
}

/// A conversation with somebody who has come.
#[derive(Debug)]
pub(super) enum Greeted {
    Open(Talk),
    Tls(Box<Accepted<Talk>>),
}

/// An open port. Dropped, it is closed.
#[derive(Debug)]
pub(super) struct Reception {
    is_closed: Arc<AtomicBool>,
    address: SocketAddr,
    keeper: Option<JoinHandle<()>>,
}

/// What those need who let others in.
struct Desk<H> {
    /// Who turns others away, in words.
    me: String,
    identity: Identity,
    tls: Option<Tls>,
    strangers: AtomicUsize,
    is_closed: Arc<AtomicBool>,
    host: H,
}

/// What was told in this minute of those who were turned away.
#[derive(Debug)]
struct Told {
    since: Option<Instant>,
    lines: usize,
    untold: usize,
}

/// That of all ports of this process.
static TOLD: Mutex<Told> = Mutex::new(Told { since: None, lines: 0, untold: 0 });

/// Who a process of the cluster with this token is.
pub(super) fn identity(token: [u8; 32]) -> Identity {
    Identity { build: Build(build()), token: Token::new(token) }
}

impl Reception {
    /// Lets others in there from now on; with `tls` only those who show a certificate of the cluster.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn open<H: Host>(
        listener: TcpListener,
        me: String,
        token: [u8; 32],
        tls: Option<Tls>,
        host: H,
    ) -> io::Result<Reception> {
        let address = listener.local_addr()?;
        let is_closed = Arc::new(AtomicBool::new(false));
        let desk = Arc::new(Desk {
            me,
            identity: identity(token),
            tls,
            strangers: AtomicUsize::new(0),
            is_closed: is_closed.clone(),
            host,
        });
        let keeper = thread::Builder::new().name("door".to_owned()).spawn(move || desk.keep(&listener))?;
        Ok(Reception { is_closed, address, keeper: Some(keeper) })
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
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

impl<H: Host> Desk<H> {
    /// Lets others in until the port is closed.
    fn keep(self: &Arc<Self>, listener: &TcpListener) {
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

    /// Hears somebody, and is with him until he goes if he is let in.
    fn hear(&self, stream: TcpStream) {
        let met = self.greet(&stream).and_then(|mut line| {
            let guest = self.host.admit(&stream, &mut line, &self.identity)?;
            Ok((guest, line))
        });
        self.strangers.fetch_sub(1, Ordering::Relaxed);
        match met {
            Ok((guest, line)) => self.host.attend(guest, &stream, line),
            Err(why) => {
                self.complain(&stream, why);
                talk::part(&stream);
            }
        }
    }

    fn greet(&self, stream: &TcpStream) -> Result<Greeted, AdmissionError> {
        let talk = Talk::new(stream)?;
        let Some(tls) = &self.tls else { return Ok(Greeted::Open(talk)) };
        let mut talk = tls.accept(talk).map_err(io::Error::other)?;
        // A handshake of its own, so that what is wrong with it is told as such.
        talk.conn.complete_io(&mut talk.sock)?;
        Ok(Greeted::Tls(Box::new(talk)))
    }

    /// Says in a line that somebody was turned away, unless enough was said of that.
    fn complain(&self, stream: &TcpStream, why: impl Display) {
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        if told.since.is_none_or(|since| since.elapsed() > Duration::from_secs(60)) {
            (told.since, told.lines) = (Some(Instant::now()), 0);
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
        eprintln!("{} turned {who} away: {why}{more}", self.me);
    }
}

impl Spoken for Greeted {
    fn talk(&mut self) -> &mut Talk {
        match self {
            Greeted::Open(talk) => talk,
            Greeted::Tls(talk) => &mut talk.sock,
        }
    }
}

impl Read for Greeted {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Greeted::Open(talk) => talk.read(bytes),
            Greeted::Tls(talk) => talk.read(bytes),
        }
    }
}

impl Write for Greeted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Greeted::Open(talk) => talk.write(bytes),
            Greeted::Tls(talk) => talk.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Greeted::Open(talk) => talk.flush(),
            Greeted::Tls(talk) => talk.flush(),
        }
    }
}
