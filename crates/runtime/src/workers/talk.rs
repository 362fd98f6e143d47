//! A conversation with somebody who may be anybody: it has an end.

use poniard_fabric::tls::{Accepted, Connected};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// How long it may take: a few round trips of the slowest network.
pub(super) const TALK: Duration = Duration::from_secs(5);
/// What is read of somebody who was turned away, so that he hears why before the connection is reset.
const PARTING_BYTES_MAX: usize = 4 << 10;
/// And for how long.
const PARTING: Duration = Duration::from_millis(500);

/// A connection on which nothing takes longer than [`TALK`] in all, until another patience is set.
#[derive(Debug)]
pub(super) struct Talk {
    stream: TcpStream,
    deadline: Option<Instant>,
}

/// A conversation, whatever it is wrapped in.
pub(super) trait Spoken: Read + Write + Send {
    /// What it runs over.
    fn talk(&mut self) -> &mut Talk;
}

impl Spoken for Talk {
    fn talk(&mut self) -> &mut Talk {
        self
    }
}

impl Spoken for Accepted<Talk> {
    fn talk(&mut self) -> &mut Talk {
        &mut self.sock
    }
}

impl Spoken for Connected<Talk> {
    fn talk(&mut self) -> &mut Talk {
        &mut self.sock
    }
}

impl Talk {
    pub(super) fn new(stream: &TcpStream) -> io::Result<Talk> {
        stream.set_nodelay(true)?;
        Ok(Talk { stream: stream.try_clone()?, deadline: Some(Instant::now() + TALK) })
    }

    /// From now on it may take so long; `None` is for ever.
    pub(super) fn set_patience(&mut self, patience: Option<Duration>) {
        self.deadline = patience.map(|patience| Instant::now() + patience);
    }

    /// The connection, on which things may take as long as they like.
    pub(super) fn into_stream(self) -> io::Result<TcpStream> {
        self.stream.set_read_timeout(None)?;
        self.stream.set_write_timeout(None)?;
        Ok(self.stream)
    }

    /// What is left.
    fn left(&self) -> io::Result<Option<Duration>> {
        let Some(deadline) = self.deadline else { return Ok(None) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Talk {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(bytes)
    }
}

impl Write for Talk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Ends the connection to somebody who was turned away, when he has heard why.
pub(super) fn part(mut stream: &TcpStream) {
    let deadline = Instant::now() + PARTING;
    let _ = stream.shutdown(Shutdown::Write);
    let mut bytes = [0; 512];
    for _ in 0..PARTING_BYTES_MAX / bytes.len() {
        let left = deadline.saturating_duration_since(Instant::now());
        let may_wait = !left.is_zero() && stream.set_read_timeout(Some(left)).is_ok();
        if !may_wait || !matches!(stream.read(&mut bytes), Ok(1..)) {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}
