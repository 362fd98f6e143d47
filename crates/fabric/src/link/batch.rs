//! Messages in frames: several in one, or one in several.
//!
//! A body is a row of parts. A part is four bytes, then so many bytes as they say; their top bit says that the message
//! goes on in the first part of the next frame.

use super::Violation;
use std::collections::VecDeque;

/// The largest message. Whatever is larger is data, and goes as bulk.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

const PART_HEAD_BYTES: usize = 4;
const GOES_ON: u32 = 1 << 31;

/// Messages that wait to be sent, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    waiting: VecDeque<Vec<u8>>,
    /// Of the first one: how much is sent.
    done: usize,
    /// What is not sent, a part's head for each message included.
    bytes: usize,
}

impl Batch {
    pub(crate) fn push(&mut self, message: Vec<u8>) {
        self.bytes += PART_HEAD_BYTES + message.len();
        self.waiting.push_back(message);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the next body, of at most `max` bytes.
    pub(crate) fn take(&mut self, max: usize) -> Vec<u8> {
        let mut body = Vec::with_capacity(max.min(self.bytes));
        while let Some(message) = self.waiting.front() {
            let rest = &message[self.done..];
            let room = max - body.len();
            let fits = PART_HEAD_BYTES + rest.len() <= room;
            // What fits into a frame is not torn in two.
            if !fits && (!body.is_empty() && PART_HEAD_BYTES + rest.len() <= max || room <= PART_HEAD_BYTES) {
                break;
            }
            let part = &rest[..rest.len().min(room - PART_HEAD_BYTES)];
            let head = part.len() as u32 | if fits { 0 } else { GOES_ON };
            body.extend_from_slice(&head.to_le_bytes());
            body.extend_from_slice(part);
            self.bytes -= part.len();
            self.done += part.len();
            if fits {
                self.bytes -= PART_HEAD_BYTES;
                self.waiting.pop_front();
                self.done = 0;
            }
        }
        body
    }

    /// Panics when the count is wrong.
    pub(crate) fn check(&self) {
        let all: usize = self.waiting.iter().map(|message| PART_HEAD_BYTES + message.len()).sum();
        assert_eq!(self.bytes, all - self.done);
    }
}

/// The beginning of a message whose end is still to come.
#[derive(Debug, Default)]
pub(crate) struct Partial(Vec<u8>);

impl Partial {
    /// Reads the next body, and gives every message that ends in it. Memory grows with what came, never with what was
    /// announced.
    pub(crate) fn read(&mut self, mut body: &[u8], mut give: impl FnMut(Vec<u8>)) -> Result<(), Violation> {
        while !body.is_empty() {
            let (head, rest) = body.split_first_chunk().ok_or(Violation("sends half a part"))?;
            let head = u32::from_le_bytes(*head);
            let (part, rest) = rest
                .split_at_checked((head & !GOES_ON) as usize)
                .ok_or(Violation("announces more than it sends"))?;
            if self.0.len() + part.len() > MESSAGE_BYTES_MAX {
                return Err(Violation("sends a message that is too large"));
            }
            self.0.extend_from_slice(part);
            body = rest;
            if head & GOES_ON == 0 {
                give(std::mem::take(&mut self.0));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    fn read_all(bodies: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Violation> {
        let (mut partial, mut got) = (Partial::default(), Vec::new());
        bodies.iter().try_for_each(|body| partial.read(body, |message| got.push(message)))?;
        Ok(got)
    }

    #[test]
    fn messages_come_out_as_they_went_in_however_the_frames_cut_them() {
        for seed in 0..500 {
            let mut chance = Chance::new(seed);
            let max = 5 + chance.below(60) as usize;
            let messages: Vec<Vec<u8>> =
                (0..chance.below(20)).map(|n| vec![n as u8; chance.below(150) as usize]).collect();
            let mut batch = Batch::default();
            messages.iter().for_each(|message| batch.push(message.clone()));
            let mut bodies = Vec::new();
            while !batch.is_empty() {
                bodies.push(batch.take(max));
                batch.check();
                assert!(bodies.last().is_some_and(|body| !body.is_empty() && body.len() <= max));
            }
            assert_eq!((read_all(&bodies), batch.bytes()), (Ok(messages), 0), "seed {seed}");
        }
    }

    #[test]
    fn small_messages_share_a_frame_and_are_not_torn() {
        let mut batch = Batch::default();
        (0..5).for_each(|n| batch.push(vec![n; 6]));
        assert_eq!([batch.take(25).len(), batch.take(25).len(), batch.take(25).len()], [20, 20, 10]);
    }

    #[test]
    fn what_no_batch_has_made_is_refused() {
        assert_eq!(read_all(&[vec![1, 0]]), Err(Violation("sends half a part")));
        assert_eq!(read_all(&[vec![9, 0, 0, 0, 1]]), Err(Violation("announces more than it sends")));
        let head = (GOES_ON | 1 << 20).to_le_bytes();
        let body = [&head[..], &[0; 1 << 20]].concat();
        assert_eq!(read_all(&vec![body; 17]), Err(Violation("sends a message that is too large")));
    }
}
