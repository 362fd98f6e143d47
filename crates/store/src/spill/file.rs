//! The spill file: one file with places for chunks, checked as they come back.
//!
//! It is preallocated in large steps, so that a full disk is a clean error before a byte is written, and its places are
//! used again: overwriting is half as fast again as writing what is new, and a file for each chunk would cost 0.8 s to
//! remove for every 4 GiB on a disk that discards. Direct IO is four to seven times as fast as writing through the page
//! cache and syncing, and takes no memory from anybody; where the file system refuses it, each piece is synced and
//! dropped from the cache.

use super::chunk::ChunkId;
use super::disk::{Disk, SystemFile, read_all, write_all};
use super::error::Error;
use super::folder::{Folder, sweep};
use super::layout::{BLOCK, Piece, Span, pieces};
use super::place::Places;
use super::scratch::{Scratch, is_aligned};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Where the file is and how large it may become.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// The directory to spill to; a folder of our own is made in it.
    pub folder: PathBuf,
    /// Bytes that the file may take on disk.
    pub limit: u64,
    /// Whether the file has a name.
    pub naming: Naming,
}

/// Whether the spill file has a name while it is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naming {
    /// It loses its name as soon as it is open: the system takes it back however the process ends.
    Unnamed,
    /// It has one, so that it can be looked at. [`sweep`](super::sweep) removes it if the process dies.
    Named,
}

impl Default for FileOptions {
    fn default() -> FileOptions {
        FileOptions { folder: std::env::temp_dir(), limit: u64::MAX, naming: Naming::Unnamed }
    }
}

/// The file that chunks spill to. Clones are the same file; the last one, or the last [`Stored`], removes it.
#[derive(Clone, Debug)]
pub struct SpillFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    disk: Box<dyn Disk>,
    places: Places,
    /// None once the file has lost its name.
    _folder: Option<Folder>,
}

/// A chunk on disk. Its place in the file is given back when this is dropped.
#[derive(Debug)]
#[must_use = "the chunk is on disk only as long as this lives"]
pub struct Stored {
    file: SpillFile,
    lengths: Box<[usize]>,
    pieces: Vec<Piece>,
    /// One for each piece that is written.
    slots: Vec<Slot>,
    codec: Codec,
}

/// Where a piece is, and what it must look like.
#[derive(Clone, Copy, Debug)]
struct Slot {
    offset: u64,
    /// Bytes in the file, whole blocks.
    length: usize,
    /// Of all of them, padding included.
    checksum: u64,
    /// The bytes that lz4 made of the piece, if they are what is stored.
    compressed: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Codec {
    Raw,
    Lz4,
}

/// A chunk is compressed when a sample of this size shrinks to at most half of it. Dense floating-point numbers do not,
/// and one core compresses them no faster than the disk writes.
const SAMPLE: usize = 64 << 10;
/// The sample is taken in so many places, all over the chunk.
const SAMPLE_PLACES: usize = 16;

impl SpillFile {
    /// Makes the file, in a folder of its own, and removes what dead processes have left beside it.
    ///
    /// # Errors
    /// When the directory is not safe to use or does not let us.
    pub fn create(options: FileOptions) -> Result<SpillFile, Error> {
        sweep(&options.folder)?;
        let folder = Folder::create(&options.folder)?;
        let path = folder.file();
        let (file, is_direct) =
            open(&path).map_err(|error| Error::io("create the spill file", &path, error))?;
        let is_nameless = options.naming == Naming::Unnamed && folder.unlink();
        let disk = Box::new(SystemFile::new(file, is_direct));
        let folder = if is_nameless { None } else { Some(folder) };
        Ok(SpillFile::on(disk, path, &options, folder))
    }

    /// Makes a spill file of any file of blocks.
    pub(super) fn on(
        disk: Box<dyn Disk>,
        path: PathBuf,
        options: &FileOptions,
        folder: Option<Folder>,
    ) -> SpillFile {
        let places = Places::new(&options.folder, options.limit);
        SpillFile(Arc::new(Inner { path, disk, places, _folder: folder }))
    }

    /// Where the file is, or was until it lost its name.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Bytes of the file that chunks take.
    pub fn bytes_used(&self) -> u64 {
        self.0.places.usage().0
    }

    /// Bytes that the file takes on disk.
    pub fn bytes(&self) -> u64 {
        self.0.places.usage().1
    }

    /// Writes a chunk, whose bytes are those of `parts`.
    ///
    /// # Errors
    /// When there is no room, or the system refuses. Nothing is kept then.
    pub fn write(&self, chunk: ChunkId, parts: &[&[u8]]) -> Result<Stored, Error> {
        let mut scratch = Scratch::new();
        let mut stored = self.begin(parts);
        while stored.write_next(chunk, parts, &mut scratch)? {}
        Ok(stored)
    }

    /// Plans a write; nothing is written yet.
    pub(super) fn begin(&self, parts: &[&[u8]]) -> Stored {
        let lengths: Box<[usize]> = parts.iter().map(|part| part.len()).collect();
        let pieces = pieces(&lengths);
        let codec = if shrinks(parts) { Codec::Lz4 } else { Codec::Raw };
        Stored { file: self.clone(), lengths, slots: Vec::with_capacity(pieces.len()), pieces, codec }
    }
}

impl Stored {
    /// Bytes of the file that it takes.
    pub fn bytes(&self) -> u64 {
        self.slots.iter().map(|slot| slot.length as u64).sum()
    }

    /// The lengths of the parts, in bytes.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Reads the chunk into `parts`, which are as long as those that were written.
    ///
    /// # Errors
    /// When the system refuses, or what comes back is not what was written.
    ///
    /// # Panics
    /// When a part has another length.
    pub fn read(&self, chunk: ChunkId, parts: &mut [&mut [u8]]) -> Result<(), Error> {
        let (mut scratch, mut done) = (Scratch::new(), 0);
        while self.read_next(chunk, parts, &mut done, &mut scratch)? {}
        Ok(())
    }

    /// Its places in the file: offset and length.
    #[cfg(test)]
    pub(super) fn places(&self) -> Vec<(u64, usize)> {
        self.slots.iter().map(|slot| (slot.offset, slot.length)).collect()
    }

    /// Writes the next piece; tells whether there was one.
    pub(super) fn write_next(
        &mut self,
        chunk: ChunkId,
        parts: &[&[u8]],
        scratch: &mut Scratch,
    ) -> Result<bool, Error> {
        let Some(piece) = self.pieces.get(self.slots.len()) else { return Ok(false) };
        assert!(parts.iter().map(|part| part.len()).eq(self.lengths.iter().copied()), "{chunk} has changed");
        let disk = &*self.file.0.disk;
        let (bytes, compressed) = image(piece, parts, self.codec, disk.is_direct(), scratch);
        let checksum = xxh3_64(bytes);
        let offset = self.file.0.places.take(disk, bytes.len() as u64)?;
        if let Err(error) = write_all(disk, bytes, offset) {
            return Err(self.file.0.failed_write(offset, bytes.len(), error));
        }
        disk.forget(offset, bytes.len() as u64);
        self.slots.push(Slot { offset, length: bytes.len(), checksum, compressed });
        Ok(true)
    }

    /// Reads the piece after those that are `done`; tells whether there was one.
    pub(super) fn read_next(
        &self,
        chunk: ChunkId,
        parts: &mut [&mut [u8]],
        done: &mut usize,
        scratch: &mut Scratch,
    ) -> Result<bool, Error> {
        if *done == self.pieces.len() {
            return Ok(false);
        }
        self.read_piece(chunk, parts, *done, scratch)?;
        *done += 1;
        Ok(true)
    }

    /// Reads one piece into its place in `parts`.
    fn read_piece(
        &self,
        chunk: ChunkId,
        parts: &mut [&mut [u8]],
        place: usize,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let (piece, slot) = (&self.pieces[place], self.slots[place]);
        assert!(
            parts.iter().map(|part| part.len()).eq(self.lengths.iter().copied()),
            "{chunk} has other parts"
        );
        let file = &self.file.0;
        if let (Piece::Body(span), None) = (piece, slot.compressed) {
            let target = &mut parts[span.part][span.start..span.start + span.len];
            if is_aligned(target) || !file.disk.is_direct() {
                return file.fill(chunk, target, slot);
            }
        }
        let Scratch { plain, packed } = scratch;
        let (plain, packed) = (plain.bytes(), packed.bytes());
        let Some(length) = slot.compressed else {
            file.fill(chunk, &mut plain[..slot.length], slot)?;
            scatter(piece, plain, parts);
            return Ok(());
        };
        file.fill(chunk, &mut packed[..slot.length], slot)?;
        let target = match piece {
            Piece::Body(span) => &mut parts[span.part][span.start..span.start + span.len],
            Piece::Packed(_) => &mut plain[..piece.len()],
        };
        let expected = target.len();
        // The checksum was right, so these are the bytes that were written, and they fit.
        match lz4_flex::block::decompress_into(&packed[..length], target) {
            Ok(count) if count == expected => {}
            result => {
                let how = format!("{length} bytes became {result:?} instead of {expected}");
                return Err(Error::corrupt(chunk, &file.path, slot.offset, how));
            }
        }
        if let Piece::Packed(_) = piece {
            scatter(piece, plain, parts);
        }
        Ok(())
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        for slot in &self.slots {
            self.file.0.places.give(slot.offset, slot.length as u64);
        }
    }
}

impl Inner {
    /// Reads a slot into `target`, which has its size, and compares.
    fn fill(&self, chunk: ChunkId, target: &mut [u8], slot: Slot) -> Result<(), Error> {
        let count = read_all(&*self.disk, target, slot.offset)
            .map_err(|error| Error::io_at("read", &self.path, slot.offset, error))?;
        self.disk.forget(slot.offset, slot.length as u64);
        if count < slot.length {
            let how = format!("the file ends after {count} of {} bytes", slot.length);
            return Err(Error::corrupt(chunk, &self.path, slot.offset, how));
        }
        let found = xxh3_64(target);
        if found != slot.checksum {
            let how =
                format!("the checksum of {} bytes is {found:016x}, not {:016x}", slot.length, slot.checksum);
            return Err(Error::corrupt(chunk, &self.path, slot.offset, how));
        }
        Ok(())
    }

    fn failed_write(&self, offset: u64, length: usize, error: io::Error) -> Error {
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => {
                self.places.give(offset, length as u64);
                self.places.refusal(&*self.disk, length as u64, error)
            }
            // Whatever the disk refused there, it is not asked again: the place is not given back.
            _ => Error::io_at("write", &self.path, offset, error),
        }
    }
}

/// What goes into the file for a piece: whole blocks, aligned if need be; and how many bytes lz4 made of it.
fn image<'a>(
    piece: &Piece,
    parts: &'a [&[u8]],
    codec: Codec,
    is_direct: bool,
    scratch: &'a mut Scratch,
) -> (&'a [u8], Option<usize>) {
    let Scratch { plain, packed } = scratch;
    let (plain, packed) = (plain.bytes(), packed.bytes());
    if let Piece::Packed(spans) = piece {
        gather(spans, parts, plain);
    }
    let source = match piece {
        Piece::Body(span) => of(*span, parts),
        Piece::Packed(_) => &plain[..piece.len()],
    };
    let whole = source.len().next_multiple_of(BLOCK);
    if codec == Codec::Lz4
        && let Ok(length) = lz4_flex::block::compress_into(source, packed)
        && length.next_multiple_of(BLOCK) < whole
    {
        let end = length.next_multiple_of(BLOCK);
        packed[length..end].fill(0);
        return (&packed[..end], Some(length));
    }
    match piece {
        Piece::Body(span) if is_direct && !is_aligned(source) => {
            plain[..whole].copy_from_slice(of(*span, parts));
            (&plain[..whole], None)
        }
        Piece::Body(span) => (of(*span, parts), None),
        Piece::Packed(_) => (&plain[..whole], None),
    }
}

fn of<'a>(span: Span, parts: &[&'a [u8]]) -> &'a [u8] {
    &parts[span.part][span.start..span.start + span.len]
}

/// Copies the spans one behind the other, and zeros up to a whole block.
fn gather(spans: &[Span], parts: &[&[u8]], target: &mut [u8]) {
    let mut end = 0;
    for span in spans {
        target[end..end + span.len].copy_from_slice(of(*span, parts));
        end += span.len;
    }
    target[end..end.next_multiple_of(BLOCK)].fill(0);
}

/// Copies a piece to where it belongs.
fn scatter(piece: &Piece, source: &[u8], parts: &mut [&mut [u8]]) {
    let spans = match piece {
        Piece::Body(span) => std::slice::from_ref(span),
        Piece::Packed(spans) => spans,
    };
    let mut end = 0;
    for span in spans {
        parts[span.part][span.start..span.start + span.len].copy_from_slice(&source[end..end + span.len]);
        end += span.len;
    }
}

/// Whether a sample, taken all over the chunk, shrinks to at most half.
fn shrinks(parts: &[&[u8]]) -> bool {
    let all: usize = parts.iter().map(|part| part.len()).sum();
    if all <= BLOCK {
        // It takes one block either way.
        return false;
    }
    let mut sample = Vec::with_capacity(SAMPLE);
    let (stride, take) =
        if all <= SAMPLE { (all, all) } else { (all / SAMPLE_PLACES, SAMPLE / SAMPLE_PLACES) };
    let mut begins = 0;
    for part in parts {
        let ends = begins + part.len();
        // Those places of the sample that begin in this part.
        for place in (begins.next_multiple_of(stride)..ends).step_by(stride) {
            let start = place - begins;
            let room = SAMPLE.saturating_sub(sample.len());
            sample.extend_from_slice(&part[start..part.len().min(start + take.min(room))]);
        }
        begins = ends;
    }
    let mut packed = vec![0; lz4_flex::block::get_maximum_output_size(sample.len())];
    lz4_flex::block::compress_into(&sample, &mut packed).is_ok_and(|length| 2 * length <= sample.len())
}

/// Opens a new file of mode 0600, for direct IO if the file system takes it.
fn open(path: &Path) -> io::Result<(File, bool)> {
    let with = |flags| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | flags);
        options.open(path)
    };
    match with(libc::O_DIRECT) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            // Some kernels have made the file all the same.
            let _ = std::fs::remove_file(path);
            with(0).map(|file| (file, false))
        }
        opened => opened.map(|file| (file, true)),
    }
}
