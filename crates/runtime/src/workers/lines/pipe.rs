//! A line between two workers who have proved to each other who they are: TCP, or TLS over it.

use crate::workers::reception::Greeted;
use crate::workers::talk::Talk;
use poniard_fabric::Identity;
use poniard_fabric::admission::{AdmissionError, apply};
use poniard_fabric::entropy::entropy;
use poniard_fabric::tls::{Accepted, Connected, Tls};
use poniard_model::WorkerId;
use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::ops::Range;
use std::time::Duration;

/// A line, from either end.
#[derive(Debug)]
pub(super) enum Pipe {
    Open(TcpStream),
    Accepted(Box<Accepted<Wide>>),
    Connected(Box<Connected<Wide>>),
}

/// A connection that is read in large parts: TLS asks for 4 KiB at a time, and a question to the kernel costs as much as that.
#[derive(Debug)]
pub(super) struct Wide {
    stream: TcpStream,
    bytes: Box<[u8]>,
    /// What was read and not taken.
    left: Range<usize>,
}

/// So much is read at a time: it fits a processor's cache, beside what is decrypted.
const WIDE_BYTES: usize = 128 << 10;

/// Why there is no line to a worker.
#[derive(Debug)]
pub(super) enum Unconnected {
    /// It may come.
    Unreachable(String),
    /// Somebody else is there, and stays.
    Stranger(String),
}

impl Pipe {
    /// That of somebody who was let in.
    pub(super) fn accepted(line: Greeted) -> io::Result<Pipe> {
        Ok(match line {
            Greeted::Open(talk) => Pipe::Open(talk.into_stream()?),
            Greeted::Tls(line) => {
                let Accepted { conn, sock } = *line;
                Pipe::Accepted(Box::new(Accepted::new(conn, Wide::new(sock.into_stream()?))))
            }
        })
    }

    /// One to a worker that is said to be there, within this time for each step.
    pub(super) fn connect(
        giver: WorkerId,
        address: &str,
        tls: Option<&Tls>,
        identity: &Identity,
        patience: Duration,
    ) -> Result<Pipe, Unconnected> {
        let unreachable =
            |error: io::Error| Unconnected::Unreachable(format!("cannot connect to {address}: {error}"));
        let stream = first_of(address, patience).map_err(unreachable)?;
        let refused = |why: AdmissionError| {
            let said = format!("cannot talk with what is at {address}: {why}");
            match why {
                AdmissionError::Broken(error) if error.kind() != io::ErrorKind::InvalidData => {
                    Unconnected::Unreachable(said)
                }
                _ => Unconnected::Stranger(said),
            }
        };
        let mut talk = Talk::new(&stream).map_err(unreachable)?;
        talk.set_patience(Some(2 * patience));
        let greeted = |welcome: &[u8]| match welcome == giver.0.to_le_bytes() {
            true => Ok(()),
            false => Err(Unconnected::Stranger(format!("at {address} is another worker"))),
        };
        let nonce = || entropy().map_err(unreachable);
        match tls {
            None => {
                greeted(&apply(&mut talk, identity, nonce()?).map_err(refused)?)?;
                talk.into_stream().map(Pipe::Open).map_err(unreachable)
            }
            Some(tls) => {
                let line = tls.connect_to_worker(giver, talk);
                let mut line = line.map_err(|error| Unconnected::Stranger(error.to_string()))?;
                greeted(&apply(&mut line, identity, nonce()?).map_err(refused)?)?;
                let Connected { conn, sock } = line;
                let sock = sock.into_stream().map_err(unreachable)?;
                Ok(Pipe::Connected(Box::new(Connected::new(conn, Wide::new(sock)))))
            }
        }
    }

    /// What it runs over.
    pub(super) fn stream(&self) -> &TcpStream {
        match self {
            Pipe::Open(stream) => stream,
            Pipe::Accepted(line) => &line.sock.stream,
            Pipe::Connected(line) => &line.sock.stream,
        }
    }
}

/// A connection to the first address of a name that takes one.
fn first_of(address: &str, patience: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::other("it has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Wide {
    fn new(stream: TcpStream) -> Wide {
        Wide { stream, bytes: vec![0; WIDE_BYTES].into(), left: 0..0 }
    }
}

impl Read for Wide {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() {
            self.left = 0..self.stream.read(&mut self.bytes)?;
        }
        let taken = (&self.bytes[self.left.clone()]).read(bytes)?;
        self.left.start += taken;
        Ok(taken)
    }
}

impl Write for Wide {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Read for Pipe {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Pipe::Open(stream) => stream.read(bytes),
            Pipe::Accepted(line) => line.read(bytes),
            Pipe::Connected(line) => line.read(bytes),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Pipe::Open(stream) => stream.write(bytes),
            Pipe::Accepted(line) => line.write(bytes),
            Pipe::Connected(line) => line.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Pipe::Open(stream) => stream.flush(),
            Pipe::Accepted(line) => line.flush(),
            Pipe::Connected(line) => line.flush(),
        }
    }
}
