//! How a process of another server asks to be let in, before it is anybody: on a stream of its own, at the door of worker 1.
//!
//! ```text
//! comes                                            the door
//!   hello: protocol, build, nonce c  ────────────►
//!   ◄────────────  hello: protocol, build, nonce d
//!   MAC(token; d, c)  ───────────────────────────►
//!   ◄─────────  yes, MAC(token; c, d, welcome), welcome      or: no
//! ```
//!
//! Each side learns exactly why nothing comes of it: another protocol, another build, another token. The token never
//! travels, what is proved answers a fresh nonce, and the door reads 108 bytes of a stranger and allocates nothing for him.
//! How long that may take is the stream's business. Who asks for a web page reads that there is none; other strangers are told nothing.

use crate::frame::Protocol;
use crate::handshake::{Build, HandshakeError, Identity};
use std::fmt;
use std::io::{self, Read, Write};

/// A hello: protocol, build, nonce.
const HELLO_BYTES: usize = 12 + 32 + 32;

/// What a welcome may weigh: a few addresses and numbers.
pub const WELCOME_BYTES_MAX: usize = 16 << 10;

/// What somebody reads who takes this port for a web server.
const NO_PAGE: &str =
    "This is a port of a Poniard cluster, and no web page. What that does: `poniard status` there.\n";

/// Why somebody was not let in.
#[derive(Debug)]
pub enum AdmissionError {
    /// One of the two does not want the other.
    Refused(HandshakeError),
    /// The stream ended, or took too long.
    Broken(io::Error),
}

impl From<io::Error> for AdmissionError {
    fn from(error: io::Error) -> AdmissionError {
        AdmissionError::Broken(error)
    }
}

impl From<HandshakeError> for AdmissionError {
    fn from(error: HandshakeError) -> AdmissionError {
        AdmissionError::Refused(error)
    }
}

impl fmt::Display for AdmissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdmissionError::Refused(why) => why.fmt(f),
            AdmissionError::Broken(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("the other side ended the connection")
            }
            AdmissionError::Broken(error) if error.kind() == io::ErrorKind::WouldBlock => {
                f.write_str("the other side said too little in time")
            }
            AdmissionError::Broken(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AdmissionError {}

type Nonce = [u8; 32];

/// Lets somebody in who proves to belong here, with the welcome that is made for him then.
///
/// # Errors
/// When he does not, or the stream ends.
pub fn admit(
    stream: &mut (impl Read + Write),
    identity: &Identity,
    nonce: Nonce,
    welcome: impl FnOnce() -> Vec<u8>,
) -> Result<(), AdmissionError> {
    let protocol = read_protocol(stream)?;
    if protocol.magic != Protocol::OURS.magic {
        // As the methods of HTTP begin.
        if b"CDGHOPT".contains(&protocol.magic[0]) {
            let head = "HTTP/1.1 421 Misdirected Request\r\nContent-Type: text/plain\r\nConnection: close";
            write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{NO_PAGE}", NO_PAGE.len())?;
            stream.flush()?;
        }
        return Err(mismatch(protocol).into());
    }
    write_hello(stream, identity, nonce)?;
    let theirs = check(stream, identity, protocol)?;
    let mut said = [0; 32];
    stream.read_exact(&mut said)?;
    // `blake3::Hash` compares in constant time.
    if identity.token.mac("comes in", &[&nonce, &theirs]) != blake3::Hash::from_bytes(said) {
        stream.write_all(&[0])?;
        stream.flush()?;
        return Err(HandshakeError::WrongToken.into());
    }
    let welcome = welcome();
    assert!(welcome.len() <= WELCOME_BYTES_MAX, "a welcome is short");
    let proof = identity.token.mac("is welcome", &[&theirs, &nonce, &welcome]);
    let mut answer = vec![1];
    answer.extend_from_slice(proof.as_bytes());
    answer.extend_from_slice(&(welcome.len() as u32).to_le_bytes());
    answer.extend_from_slice(&welcome);
    stream.write_all(&answer)?;
    stream.flush()?;
    Ok(())
}

/// Asks to be let in. Gives the welcome.
///
/// # Errors
/// When one of the two does not want the other, or the stream ends.
pub fn apply(
    stream: &mut (impl Read + Write),
    identity: &Identity,
    nonce: Nonce,
) -> Result<Vec<u8>, AdmissionError> {
    write_hello(stream, identity, nonce)?;
    let protocol = read_protocol(stream)?;
    let theirs = check(stream, identity, protocol)?;
    // Our own nonce would have us prove ourselves to ourselves.
    if theirs == nonce {
        return Err(HandshakeError::WrongToken.into());
    }
    stream.write_all(identity.token.mac("comes in", &[&theirs, &nonce]).as_bytes())?;
    stream.flush()?;
    let mut answer = [0; 1];
    stream.read_exact(&mut answer)?;
    if answer != [1] {
        return Err(HandshakeError::WrongToken.into());
    }
    let (mut proof, mut len) = ([0; 32], [0; 4]);
    stream.read_exact(&mut proof)?;
    stream.read_exact(&mut len)?;
    let len = u32::from_le_bytes(len) as usize;
    if len > WELCOME_BYTES_MAX {
        return Err(HandshakeError::WrongToken.into());
    }
    let mut welcome = vec![0; len];
    stream.read_exact(&mut welcome)?;
    if identity.token.mac("is welcome", &[&nonce, &theirs, &welcome]) != blake3::Hash::from_bytes(proof) {
        return Err(HandshakeError::WrongToken.into());
    }
    Ok(welcome)
}

fn write_hello(stream: &mut impl Write, identity: &Identity, nonce: Nonce) -> io::Result<()> {
    let mut hello = [0; HELLO_BYTES];
    hello[..8].copy_from_slice(&Protocol::OURS.magic);
    hello[8..12].copy_from_slice(&Protocol::OURS.version.to_le_bytes());
    hello[12..44].copy_from_slice(&identity.build.0);
    hello[44..].copy_from_slice(&nonce);
    stream.write_all(&hello)?;
    stream.flush()
}

/// The first bytes, by which every version can be told from every other.
fn read_protocol(stream: &mut impl Read) -> io::Result<Protocol> {
    let mut first = [0; 12];
    let (begin, rest) = first.split_at_mut(1);
    stream.read_exact(begin)?;
    // Others say less than that, and end.
    if begin[0] == Protocol::OURS.magic[0] {
        stream.read_exact(rest)?;
    }
    let (magic, version) = first.split_at(8);
    Ok(Protocol {
        magic: magic.try_into().expect("eight bytes"),
        version: u32::from_le_bytes(version.try_into().expect("four bytes")),
    })
}

/// Reads the rest of a hello. Gives its nonce.
fn check(stream: &mut impl Read, identity: &Identity, protocol: Protocol) -> Result<Nonce, AdmissionError> {
    if protocol != Protocol::OURS {
        return Err(mismatch(protocol).into());
    }
    let (mut build, mut nonce) = ([0; 32], [0; 32]);
    stream.read_exact(&mut build)?;
    stream.read_exact(&mut nonce)?;
    if Build(build) != identity.build {
        return Err(HandshakeError::BuildMismatch { ours: identity.build, theirs: Build(build) }.into());
    }
    Ok(nonce)
}

fn mismatch(theirs: Protocol) -> HandshakeError {
    HandshakeError::ProtocolMismatch { ours: Protocol::OURS, theirs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::Token;
    use std::os::unix::net::UnixStream;
    use std::thread;

    fn identity(build: u8, token: u8) -> Identity {
        Identity { build: Build([build; 32]), token: Token::new([token; 32]) }
    }

    /// What the door and whoever comes learn.
    fn meet(door: Identity, comes: Identity) -> (Result<(), String>, Result<Vec<u8>, String>) {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let door = thread::spawn(move || {
            admit(&mut here, &door, [1; 32], || b"you are w5".to_vec()).map_err(|error| error.to_string())
        });
        let welcome = apply(&mut there, &comes, [2; 32]).map_err(|error| error.to_string());
        drop(there);
        (door.join().unwrap(), welcome)
    }

    /// What the door learns of somebody who says this and no more.
    fn visit(says: &[u8]) -> (String, Vec<u8>) {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        there.write_all(says).unwrap();
        there.shutdown(std::net::Shutdown::Write).unwrap();
        let error = admit(&mut here, &identity(1, 2), [1; 32], || panic!("nobody is welcome")).unwrap_err();
        drop(here);
        let mut answer = Vec::new();
        // What was not read of ours ends it with an error.
        let _ = there.read_to_end(&mut answer);
        (error.to_string(), answer)
    }

    #[test]
    fn who_belongs_here_is_welcome() {
        assert_eq!(meet(identity(1, 2), identity(1, 2)), (Ok(()), Ok(b"you are w5".to_vec())));
    }

    #[test]
    fn another_build_and_another_token_are_named_on_both_sides() {
        let (door, comes) = meet(identity(1, 2), identity(3, 2));
        let (ours, theirs) = ("0101010101010101", "0303030303030303");
        let said = |a, b| format!("the executable is {a} here and {b} there; all workers must run the same");
        assert_eq!((door, comes), (Err(said(ours, theirs)), Err(said(theirs, ours))));
        let said = Err("the other side has not the token of this cluster".to_owned());
        let (door, comes) = meet(identity(1, 2), identity(1, 3));
        assert_eq!((door, comes.map(drop)), (said.clone(), said));
    }

    #[test]
    fn another_version_is_told_which_one_this_is() {
        let mut hello = Protocol::OURS.magic.to_vec();
        hello.extend_from_slice(&7_u32.to_le_bytes());
        let (error, answer) = visit(&hello);
        assert_eq!(error, "the protocol is 1 here and 7 there");
        assert_eq!((&answer[..8], answer[8]), (&Protocol::OURS.magic[..], 1));
    }

    #[test]
    fn who_asks_for_a_page_hears_that_there_is_none() {
        for asks in [&b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"[..], b"POST /run HTTP/1.1\r\n\r\n"] {
            let (error, answer) = visit(asks);
            assert_eq!(error, "the other side is no worker of Poniard");
            let answer = String::from_utf8(answer).unwrap();
            let (head, text) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 421 ") && head.ends_with("Content-Length: 94"), "{head}");
            assert_eq!((text, text.len()), (NO_PAGE, 94));
        }
    }

    #[test]
    fn strangers_are_read_no_further_than_their_first_words_and_told_nothing() {
        // An alert of TLS.
        let (error, answer) = visit(&[0x15, 3, 3, 0, 2, 2, 50]);
        assert_eq!((error.as_str(), answer.len()), ("the other side is no worker of Poniard", 0));
        let (error, answer) = visit(b"ponia");
        assert_eq!((error.as_str(), answer.len()), ("the other side ended the connection", 0));
    }

    #[test]
    fn a_captured_conversation_is_worth_nothing_at_another_time() {
        let us = identity(1, 2);
        let mut said = Vec::new();
        write_hello(&mut said, &us, [2; 32]).unwrap();
        said.extend_from_slice(us.token.mac("comes in", &[&[9; 32], &[2; 32]]).as_bytes());
        let (error, answer) = visit(&said);
        assert_eq!(error, "the other side has not the token of this cluster");
        assert_eq!((answer.len(), answer.last()), (HELLO_BYTES + 1, Some(&0)));
    }

    #[test]
    fn a_door_that_has_not_the_token_is_no_door() {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let door = thread::spawn(move || {
            let mut hello = [0; HELLO_BYTES];
            here.read_exact(&mut hello).unwrap();
            // It says what the other one said, as if it were its own.
            here.write_all(&hello).unwrap();
            let mut rest = Vec::new();
            here.read_to_end(&mut rest).unwrap();
            rest
        });
        let error = apply(&mut there, &identity(1, 2), [2; 32]).unwrap_err();
        assert_eq!(error.to_string(), "the other side has not the token of this cluster");
        drop(there);
        assert_eq!(door.join().unwrap(), b"");
    }
}
