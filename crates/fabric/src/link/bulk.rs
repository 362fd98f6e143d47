//! Large data in pieces.
//!
//! A body is the tag of the transfer, its length and the piece's place in it, eight bytes each, then the piece.

use super::Violation;
use crate::frame::BODY_BYTES_MAX;
use poniard_model::codec::SharedBytes;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

const PIECE_HEAD_BYTES: usize = 24;

/// The most data in one piece.
pub const PIECE_BYTES_MAX: usize = BODY_BYTES_MAX - PIECE_HEAD_BYTES;

/// Data on its way, by reference: nothing is copied before its turn has come.
#[derive(Clone)]
pub struct Transfer {
    /// What it is, in the words of who sends it.
    pub tag: u64,
    /// What it consists of.
    pub bytes: Arc<dyn SharedBytes>,
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transfer {} of {} bytes", self.tag, self.bytes.bytes().len())
    }
}

/// A piece of a transfer that has come. The pieces of one peer come in order, transfer after transfer.
#[derive(Clone, PartialEq, Eq)]
pub struct Piece {
    /// Of which transfer.
    pub tag: u64,
    /// How many bytes that has.
    pub total: u64,
    /// Where in it this piece begins.
    pub offset: u64,
    /// The piece. It is empty when all of the transfer is.
    pub bytes: Vec<u8>,
}

impl Piece {
    /// Whether the transfer is complete with it.
    pub fn is_last(&self) -> bool {
        self.offset + self.bytes.len() as u64 == self.total
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.offset + self.bytes.len() as u64;
        write!(f, "piece {}..{end} of {} of transfer {}", self.offset, self.total, self.tag)
    }
}

/// A piece that is sent, as a place in its transfer.
#[derive(Debug)]
pub(crate) struct Cut {
    transfer: Transfer,
    offset: usize,
    bytes: usize,
}

impl Cut {
    pub(crate) fn bytes(&self) -> usize {
        PIECE_HEAD_BYTES + self.bytes
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        let bytes = self.transfer.bytes.bytes();
        let mut body = Vec::with_capacity(self.bytes());
        for number in [self.transfer.tag, bytes.len() as u64, self.offset as u64] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        body.extend_from_slice(&bytes[self.offset..self.offset + self.bytes]);
        body
    }
}

/// Transfers that wait or are being sent, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    waiting: VecDeque<Transfer>,
    /// Of the first one: how much is sent.
    done: usize,
}

impl Transfers {
    pub(crate) fn push(&mut self, transfer: Transfer) {
        self.waiting.push_back(transfer);
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes the next piece.
    pub(crate) fn take(&mut self) -> Option<Cut> {
        let transfer = self.waiting.front()?.clone();
        let (offset, total) = (self.done, transfer.bytes.bytes().len());
        let bytes = (total - offset).min(PIECE_BYTES_MAX);
        self.done += bytes;
        if self.done == total {
            self.waiting.pop_front();
            self.done = 0;
        }
        Some(Cut { transfer, offset, bytes })
    }
}

/// Where in which transfer the next piece must begin.
#[derive(Debug, Default)]
pub(crate) struct Course(Option<(u64, u64, u64)>);

impl Course {
    /// Reads the next body.
    pub(crate) fn read(&mut self, body: &[u8]) -> Result<Piece, Violation> {
        let (head, bytes) =
            body.split_first_chunk::<PIECE_HEAD_BYTES>().ok_or(Violation("sends half a piece"))?;
        let number =
            |at: usize| u64::from_le_bytes(head[8 * at..8 * at + 8].try_into().expect("eight bytes"));
        let (tag, total, offset) = (number(0), number(1), number(2));
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= total);
        let end = end.ok_or(Violation("sends more of a transfer than there is"))?;
        if self.0.unwrap_or((tag, total, 0)) != (tag, total, offset) {
            return Err(Violation("sends pieces out of order"));
        }
        self.0 = (end < total).then_some((tag, total, end));
        Ok(Piece { tag, total, offset, bytes: bytes.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(Vec<u8>);

    impl SharedBytes for Bytes {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
    }

    fn bodies(sizes: &[usize]) -> Vec<Vec<u8>> {
        let mut transfers = Transfers::default();
        for (tag, size) in (0..).zip(sizes) {
            transfers.push(Transfer { tag, bytes: Arc::new(Bytes(vec![tag as u8; *size])) });
        }
        std::iter::from_fn(|| transfers.take().map(|cut| cut.body())).collect()
    }

    #[test]
    fn pieces_make_their_transfers_again_and_empty_ones_come_too() {
        let sizes = [0, 1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, 0, 3 * PIECE_BYTES_MAX];
        let (mut course, mut got) = (Course::default(), vec![0; sizes.len()]);
        for body in bodies(&sizes) {
            assert!(body.len() <= BODY_BYTES_MAX);
            let piece = course.read(&body).unwrap();
            assert!(piece.bytes.iter().all(|byte| u64::from(*byte) == piece.tag));
            got[piece.tag as usize] += piece.bytes.len();
            assert_eq!(piece.is_last(), got[piece.tag as usize] == sizes[piece.tag as usize]);
        }
        assert_eq!(got, sizes);
    }

    #[test]
    fn pieces_that_no_sender_has_cut_are_refused() {
        let of = |tag: u64, total: u64, offset: u64, bytes: usize| {
            let mut body = [tag, total, offset].map(u64::to_le_bytes).concat();
            body.resize(PIECE_HEAD_BYTES + bytes, 0);
            body
        };
        assert!(Course::default().read(&[0; 23]).is_err());
        assert!(Course::default().read(&of(1, 5, 0, 6)).is_err(), "too much");
        assert!(Course::default().read(&of(1, 5, u64::MAX, 1)).is_err(), "an overflow");
        assert!(Course::default().read(&of(1, 5, 1, 1)).is_err(), "no beginning");
        let mut course = Course::default();
        course.read(&of(1, 5, 0, 2)).unwrap();
        assert!(course.read(&of(1, 5, 3, 1)).is_err(), "a hole");
        assert!(course.read(&of(2, 5, 2, 1)).is_err(), "another transfer");
    }
}
