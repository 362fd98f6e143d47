//! How buffers inside values travel: by reference where a codec of ours runs, else as bytes in their place.

use crate::arena::Arena;
use crate::buffer::{Buf, BufMut};
use poniard_model::codec::{Payload, complain, write_payload};
use serde::{Serialize, Serializer};
use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;

/// Some bytes of a buffer.
pub(crate) struct Elements<'a>(pub(crate) &'a Buf, pub(crate) Range<usize>);

impl Serialize for Elements<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Elements(buf, range) = self;
        write_payload(&buf[range.clone()], || Arc::new(buf.slice(range.clone())), serializer)
    }
}

/// The buffer of bytes that were read: the one that travelled, or a copy.
pub(crate) fn buf_of<E: serde::de::Error>(payload: Payload) -> Result<Buf, E> {
    match payload {
        Payload::Beside(shared) => Ok(Buf::from_shared(&shared)),
        Payload::Inline(bytes) => {
            BufMut::copy_of(Arena::global(), &bytes).map(BufMut::freeze).map_err(refused)
        }
    }
}

/// An error of the format with our words, which also go to the codec's error.
pub(crate) fn refused<E: serde::de::Error>(error: impl Display) -> E {
    E::custom(complain(error.to_string()))
}
