//! What is said on a line: the reader asks for a range of a buffer that was lent to it, and gets the bytes or the reason why not.
//!
//! ```text
//! reader                                    giver
//!   reader, lease, offset, length  ───────►
//!   ◄───────  0, length, that many bytes          or: 1, length, a reason of that many bytes
//! ```
//!
//! Both have proved before that they have the token. One request at a time on each line.

use poniard_model::WorkerId;
use std::io::{self, Read, Write};

const REQUEST_BYTES: usize = 4 + 8 + 8 + 8;
/// What a reason may weigh.
const REASON_BYTES_MAX: usize = 1000;
/// First bytes of an answer.
const BYTES_FOLLOW: u8 = 0;
const REASON_FOLLOWS: u8 = 1;

/// A range of a buffer, which a worker wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) reader: WorkerId,
    pub(super) lease: u64,
    pub(super) offset: u64,
    pub(super) len: u64,
}

impl Request {
    pub(super) fn write(self, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = [0; REQUEST_BYTES];
        bytes[..4].copy_from_slice(&self.reader.0.to_le_bytes());
        for (place, number) in [(4, self.lease), (12, self.offset), (20, self.len)] {
            bytes[place..place + 8].copy_from_slice(&number.to_le_bytes());
        }
        to.write_all(&bytes)?;
        to.flush()
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Request> {
        let mut bytes = [0; REQUEST_BYTES];
        from.read_exact(&mut bytes)?;
        let number =
            |place: usize| u64::from_le_bytes(bytes[place..place + 8].try_into().expect("eight bytes"));
        let reader = WorkerId(u32::from_le_bytes(bytes[..4].try_into().expect("four bytes")));
        Ok(Request { reader, lease: number(4), offset: number(12), len: number(20) })
    }
}

/// Says that so many bytes follow.
pub(super) fn announce(to: &mut impl Write, len: u64) -> io::Result<()> {
    let mut head = [BYTES_FOLLOW; 9];
    head[1..].copy_from_slice(&len.to_le_bytes());
    to.write_all(&head)
}

/// Says why they are not sent.
pub(super) fn refuse(to: &mut impl Write, reason: &str) -> io::Result<()> {
    let reason = &reason.as_bytes()[..reason.len().min(REASON_BYTES_MAX)];
    let mut said = vec![REASON_FOLLOWS];
    said.extend_from_slice(&(reason.len() as u16).to_le_bytes());
    said.extend_from_slice(reason);
    to.write_all(&said)?;
    to.flush()
}

/// Hears whether so many bytes follow; else gives the reason why not.
///
/// # Errors
/// When the line ends or says nothing.
pub(super) fn hear(from: &mut impl Read, len: u64) -> io::Result<Result<(), String>> {
    let mut kind = [0];
    from.read_exact(&mut kind)?;
    match kind[0] {
        BYTES_FOLLOW => {
            let mut told = [0; 8];
            from.read_exact(&mut told)?;
            let told = u64::from_le_bytes(told);
            Ok(if told == len { Ok(()) } else { Err(format!("it has {told} bytes there instead of {len}")) })
        }
        REASON_FOLLOWS => {
            let mut told = [0; 2];
            from.read_exact(&mut told)?;
            let mut reason = vec![0; usize::from(u16::from_le_bytes(told)).min(REASON_BYTES_MAX)];
            from.read_exact(&mut reason)?;
            Ok(Err(String::from_utf8_lossy(&reason).into_owned()))
        }
        other => Ok(Err(format!("it says {other}, which is no answer"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_heard_and_what_is_answered_too() {
        let request = Request { reader: WorkerId(7), lease: 1 << 40, offset: 3, len: 9 };
        let mut wire = Vec::new();
        request.write(&mut wire).unwrap();
        assert_eq!(Request::read(&mut wire.as_slice()).unwrap(), request);
        assert!(Request::read(&mut &wire[..REQUEST_BYTES - 1]).is_err());
        let mut wire = Vec::new();
        announce(&mut wire, 5).unwrap();
        assert_eq!(hear(&mut wire.as_slice(), 5).unwrap(), Ok(()));
        assert_eq!(
            hear(&mut wire.as_slice(), 6).unwrap(),
            Err("it has 5 bytes there instead of 6".to_owned())
        );
        let mut wire = Vec::new();
        refuse(&mut wire, &"no ".repeat(1000)).unwrap();
        assert_eq!(hear(&mut wire.as_slice(), 5).unwrap().unwrap_err().len(), REASON_BYTES_MAX);
        assert!(hear(&mut &[9][..], 5).unwrap().unwrap_err().contains("no answer"));
        assert!(hear(&mut &[0, 1][..], 5).is_err());
    }
}
