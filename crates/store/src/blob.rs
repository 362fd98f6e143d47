//! Plain bytes as a value.

use crate::buffer::{Buf, BufMut};
use crate::travel::{Elements, buf_of};
use poniard_model::codec::Payload;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::Deref;
use std::slice::SliceIndex;

/// Bytes that clones share and that travel by reference, as a value of a task or a field of one.
///
/// ```
/// use poniard_store::Blob;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Picture {
///     width: u32,
///     pixels: Blob,
/// }
/// let picture = Picture { width: 100, pixels: vec![0; 10_000].into() };
/// let codec = <Picture as poniard_model::Data>::codec().expect("it is a serde type");
/// let encoded = codec.encode(&picture)?;
/// assert!(encoded.head().len() < 10, "the pixels are beside it");
/// assert_eq!(codec.decode(&encoded)?.pixels.as_ptr(), picture.pixels.as_ptr(), "no copy");
/// # Ok::<(), poniard_model::CodecError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(Buf);

impl Blob {
    /// A part, without a copy.
    ///
    /// # Panics
    /// When the range is not within the bytes.
    #[must_use]
    pub fn slice(&self, range: impl SliceIndex<[u8], Output = [u8]>) -> Blob {
        Blob(self.0.slice(range))
    }

    /// The buffer that holds the bytes.
    pub fn buf(&self) -> &Buf {
        &self.0
    }

    /// The buffer, by value.
    pub fn into_buf(self) -> Buf {
        self.0
    }
}

impl Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Buf> for Blob {
    fn from(buf: Buf) -> Blob {
        Blob(buf)
    }
}

impl From<BufMut> for Blob {
    fn from(buf: BufMut) -> Blob {
        Blob(buf.freeze())
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Blob {
        Blob(Buf::from_vec(bytes))
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Elements(&self.0, 0..self.0.len()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
        buf_of(Payload::deserialize(deserializer)?).map(Blob)
    }
}
