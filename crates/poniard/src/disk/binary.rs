//! The default format: every type, checked to the last bit.
//!
//! ```text
//! prefix, 64 bytes: magic, version, zero, length of the file, length and checksum of the header, zeros, its own checksum
//! header: the type's name, length and checksum of the head, the length of each buffer, checksums of their pieces
//! head: the value's own bytes
//! each buffer, from a multiple of 4,096 bytes on, with zeros between
//! ```
//!
//! Numbers are little-endian. Every byte is either under a checksum or must be zero, and the length is known: so whatever
//! is cut off, appended or changed is found, and nothing is allocated that the file does not hold.

use crate::disk::error::{Reason, Unfit};
use crate::disk::format::Format;
use crate::disk::source::{Source, Target};
use poniard_model::Data;
use poniard_model::codec::{Codec, Encoded, SharedBytes};
use poniard_store::{Arena, Buf, BufMut};
use serde::{Deserialize, Serialize};
use std::any::type_name;
use std::io::Write;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// The default format, for every [`Data`]: large tiles, blobs and vectors of numbers are written and read as they are, in
/// one piece, and checksums find every change of the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Binary;

/// Says what the file is; the first byte is no text, and the line ends show transfers that change them.
const MAGIC: [u8; 8] = *b"\x89PNRD\r\n\x1a";
const VERSION: u32 = 1;
const PREFIX_BYTES: usize = 64;
/// What buffers start at multiples of, so that a file may be mapped, or read past the page cache.
const ALIGN: u64 = 4096;
/// What one checksum is for: small enough to stay in the cache between being read and being checked.
const PIECE_BYTES: usize = 4 << 20;

#[derive(Serialize, Deserialize)]
struct Header {
    type_name: String,
    head_len: u64,
    head_checksum: u64,
    /// The length of each buffer.
    buffers: Vec<u64>,
    /// Of each piece of each buffer.
    checksums: Vec<u64>,
}

struct Prefix {
    file_len: u64,
    header_len: u64,
    header_checksum: u64,
}

impl<T: Data> Format<T> for Binary {
    fn name(&self) -> &str {
        "binary"
    }

    fn read(&self, source: &Source) -> Result<T, Reason> {
        let codec = codec::<T>()?;
        let encoded = read_encoded(source, type_name::<T>())?;
        codec.decode(&encoded).map_err(|error| Unfit::other(error.to_string()))
    }

    fn write(&self, value: &T, target: &mut Target) -> Result<(), Reason> {
        let encoded = codec::<T>()?.encode(value)?;
        write_encoded(target, type_name::<T>(), &encoded)
    }
}

fn codec<T: Data>() -> Result<Codec<T>, Reason> {
    T::codec().ok_or_else(|| {
        format!("`{}` stays in the process that made it, and has no bytes", type_name::<T>()).into()
    })
}

/// Writes a value's bytes and buffers.
pub(crate) fn write_encoded(
    target: &mut impl Write,
    type_name: &str,
    encoded: &Encoded,
) -> Result<(), Reason> {
    if !encoded.can_leave() {
        return Err("the value holds a handle that exists in this process only".into());
    }
    let lens: Vec<u64> = encoded.buffers().iter().map(|buffer| buffer.bytes().len() as u64).collect();
    let pieces = encoded.buffers().iter().flat_map(|buffer| buffer.bytes().chunks(PIECE_BYTES));
    let header = Header {
        type_name: type_name.to_owned(),
        head_len: encoded.head().len() as u64,
        head_checksum: xxh3_64(encoded.head()),
        checksums: pieces.map(xxh3_64).collect(),
        buffers: lens,
    };
    let bytes = postcard::to_extend(&header, Vec::new())?;
    let header_len = bytes.len() as u64;
    let file_len = file_len(header_len, &header).ok_or("the value is too large for a file")?;
    let prefix = Prefix { file_len, header_len, header_checksum: xxh3_64(&bytes) };
    target.write_all(&prefix.to_bytes())?;
    target.write_all(&bytes)?;
    target.write_all(encoded.head())?;
    let mut at = PREFIX_BYTES as u64 + header_len + header.head_len;
    for buffer in encoded.buffers() {
        let start = at.next_multiple_of(ALIGN);
        target.write_all(&[0; ALIGN as usize][..(start - at) as usize])?;
        target.write_all(buffer.bytes())?;
        at = start + buffer.bytes().len() as u64;
    }
    Ok(())
}

/// Reads a value's bytes and buffers, and checks all of them.
pub(crate) fn read_encoded(source: &Source, wanted: &str) -> Result<Encoded, Reason> {
    let header = read_header(source)?;
    if header.type_name != wanted {
        let what = format!("a value of type `{}` was written, not of `{wanted}`", header.type_name);
        return Err(Unfit::other(what));
    }
    let head = source.take_vec(header.head_len)?;
    if xxh3_64(&head) != header.head_checksum {
        return Err(Unfit::damaged("the value's own bytes have changed since they were written"));
    }
    let mut checksums = header.checksums.iter();
    let mut buffers: Vec<Arc<dyn SharedBytes>> = Vec::new();
    for (number, len) in header.buffers.iter().enumerate() {
        skip_zeros(source)?;
        buffers.push(Arc::new(read_buffer(source, *len, number, &mut checksums)?));
    }
    Ok(Encoded::from_parts(head, buffers))
}

fn read_header(source: &Source) -> Result<Header, Reason> {
    let len = source.len();
    source.rewind_to(0)?;
    if len < PREFIX_BYTES as u64 {
        let what = format!("it has {len} bytes, and the beginning alone takes {PREFIX_BYTES}");
        return Err(Unfit::damaged(what));
    }
    let mut bytes = [0; PREFIX_BYTES];
    source.fill(&mut bytes)?;
    let prefix = Prefix::of(&bytes)?;
    if prefix.file_len != len {
        let what = format!("{} bytes were written, and {len} are there", prefix.file_len);
        return Err(Unfit::damaged(what));
    }
    if prefix.header_len > len - PREFIX_BYTES as u64 {
        return Err(Unfit::damaged("its header is longer than the file"));
    }
    let bytes = source.take_vec(prefix.header_len)?;
    if xxh3_64(&bytes) != prefix.header_checksum {
        return Err(Unfit::damaged("its header has changed since it was written"));
    }
    let (header, rest): (Header, _) = postcard::take_from_bytes(&bytes)?;
    let mut pieces = header.buffers.iter().map(|len| len.div_ceil(PIECE_BYTES as u64));
    let pieces = pieces.try_fold(0_u64, |sum, pieces| sum.checked_add(pieces));
    // Before a byte is allocated for them, the buffers are known to be as long as the file says.
    let is_whole =
        file_len(prefix.header_len, &header) == Some(len) && pieces == Some(header.checksums.len() as u64);
    if !is_whole || !rest.is_empty() {
        return Err(Unfit::damaged("its header and its length do not agree"));
    }
    Ok(header)
}

fn read_buffer<'a>(
    source: &Source,
    len: u64,
    number: usize,
    checksums: &mut impl Iterator<Item = &'a u64>,
) -> Result<Buf, Reason> {
    let len = usize::try_from(len).map_err(|_| Unfit::other(format!("{len} bytes are too many")))?;
    let mut bytes = BufMut::take(Arena::global(), len)?;
    for (place, piece) in bytes.chunks_mut(PIECE_BYTES).enumerate() {
        source.fill(piece)?;
        if checksums.next() != Some(&xxh3_64(piece)) {
            let from = place * PIECE_BYTES;
            let to = from + piece.len();
            let what =
                format!("bytes {from} to {to} of buffer {number} have changed since they were written");
            return Err(Unfit::damaged(what));
        }
    }
    Ok(bytes.freeze())
}

/// Goes on to the next multiple of what buffers start at.
fn skip_zeros(source: &Source) -> Result<(), Reason> {
    let at = source.position()?;
    let mut zeros = [0; ALIGN as usize];
    let zeros = &mut zeros[..(at.next_multiple_of(ALIGN) - at) as usize];
    source.fill(zeros)?;
    match zeros.iter().all(|byte| *byte == 0) {
        true => Ok(()),
        false => Err(Unfit::damaged("bytes between its buffers have changed since they were written")),
    }
}

/// The length of a file with such a header, which takes `header_len` bytes.
fn file_len(header_len: u64, header: &Header) -> Option<u64> {
    let front = (PREFIX_BYTES as u64).checked_add(header_len)?.checked_add(header.head_len)?;
    header.buffers.iter().try_fold(front, |at, len| at.checked_next_multiple_of(ALIGN)?.checked_add(*len))
}

impl Prefix {
    fn to_bytes(&self) -> [u8; PREFIX_BYTES] {
        let mut bytes = [0; PREFIX_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.file_len.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.header_len.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.header_checksum.to_le_bytes());
        let checksum = xxh3_64(&bytes[..56]);
        bytes[56..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn of(bytes: &[u8; PREFIX_BYTES]) -> Result<Prefix, Reason> {
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let version = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
        let is_whole = number(56) == xxh3_64(&bytes[..56]);
        if bytes[..8] != MAGIC {
            return Err(Unfit::damaged("it does not begin as such a file does"));
        }
        if !is_whole {
            return Err(Unfit::damaged("its beginning has changed since it was written"));
        }
        if version != VERSION {
            let what = format!("it is of version {version} of the format, and this program knows {VERSION}");
            return Err(Unfit::other(what));
        }
        Ok(Prefix { file_len: number(16), header_len: number(24), header_checksum: number(32) })
    }
}
