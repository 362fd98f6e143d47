//! Memory that a chunk is read into from disk.

use poniard_model::codec::SharedBytes;
use poniard_store::spill::PartsMut;
use poniard_store::{Arena, BufMut, TakeError};
use std::sync::Arc;

/// The head and the buffers of a value, filled by the disk's threads.
pub(super) struct Incoming {
    head: Vec<u8>,
    buffers: Vec<BufMut>,
}

impl Incoming {
    /// Memory for parts of these lengths, of which the first is the head.
    pub(super) fn new(lengths: &[usize]) -> Result<Incoming, TakeError> {
        let (head, buffers) = lengths.split_first().expect("every value has a head");
        let buffers = buffers.iter().map(|length| BufMut::take(Arena::global(), *length));
        Ok(Incoming { head: vec![0; *head], buffers: buffers.collect::<Result<_, _>>()? })
    }

    /// The value as its codec takes it.
    pub(super) fn into_parts(self) -> (Vec<u8>, Vec<Arc<dyn SharedBytes>>) {
        let share = |buffer: BufMut| -> Arc<dyn SharedBytes> { Arc::new(buffer.freeze()) };
        (self.head, self.buffers.into_iter().map(share).collect())
    }
}

impl PartsMut for Incoming {
    fn parts_mut(&mut self) -> Vec<&mut [u8]> {
        let buffers = self.buffers.iter_mut().map(|buffer| &mut buffer[..]);
        std::iter::once(self.head.as_mut_slice()).chain(buffers).collect()
    }
}
