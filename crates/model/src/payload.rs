//! The bytes inside a value, for serde: beside it while a codec of ours runs and they are many, else in their place.

use crate::luggage::{BESIDE_BYTES_MIN, SharedBytes, carried_bytes, carry_bytes, complain, is_carrying};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// Bytes that were read back.
pub enum Payload {
    /// By reference.
    Beside(Arc<dyn SharedBytes>),
    /// A copy from among the value's own bytes.
    Inline(Vec<u8>),
}

/// How a payload is written.
#[derive(Serialize)]
#[serde(rename = "Payload")]
enum Written<'a> {
    Inline(Bytes<'a>),
    Beside(u32),
}

#[derive(Deserialize)]
#[serde(rename = "Payload")]
enum Read {
    Inline(ByteBuf),
    Beside(u32),
}

/// Writes `bytes`, or the number of the buffer that `share` makes of them.
///
/// # Errors
/// Those of the format.
pub fn write_payload<S: Serializer>(
    bytes: &[u8],
    share: impl FnOnce() -> Arc<dyn SharedBytes>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if bytes.len() < BESIDE_BYTES_MIN || !is_carrying() {
        return Written::Inline(Bytes(bytes)).serialize(serializer);
    }
    let number = carry_bytes(share());
    let number = number.ok_or_else(|| S::Error::custom(complain("there are too many buffers".to_owned())))?;
    Written::Beside(number).serialize(serializer)
}

impl Payload {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Payload::Beside(buffer) => buffer.bytes(),
            Payload::Inline(bytes) => bytes,
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
        match Read::deserialize(deserializer)? {
            Read::Inline(bytes) => Ok(Payload::Inline(bytes.0)),
            Read::Beside(number) => carried_bytes(number).map(Payload::Beside).ok_or_else(|| {
                D::Error::custom(complain(format!(
                    "there is no buffer {number} beside it, or it was read before"
                )))
            }),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if matches!(self, Payload::Beside(_)) { "beside" } else { "inline" };
        write!(f, "Payload({} bytes {place})", self.bytes().len())
    }
}

/// Serde takes a slice for a list of numbers unless it is told.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

struct ByteBuf(Vec<u8>);

impl<'de> Deserialize<'de> for ByteBuf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByteBuf, D::Error> {
        deserializer.deserialize_byte_buf(ByteVisitor)
    }
}

struct ByteVisitor;

impl<'de> Visitor<'de> for ByteVisitor {
    type Value = ByteBuf;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<ByteBuf, E> {
        Ok(ByteBuf(bytes.to_vec()))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<ByteBuf, E> {
        Ok(ByteBuf(bytes))
    }

    /// Formats without bytes, such as JSON, write a list of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ByteBuf, A::Error> {
        // What the format says of the length is not trusted with memory.
        let mut bytes = Vec::with_capacity(list.size_hint().unwrap_or(0).min(BESIDE_BYTES_MIN));
        while let Some(byte) = list.next_element()? {
            bytes.push(byte);
        }
        Ok(ByteBuf(bytes))
    }
}
