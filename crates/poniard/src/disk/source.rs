//! What a format reads from, and what it writes to.

use crate::disk::error::{Reason, Unfit};
use poniard_store::{Arena, Buf, BufMut};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The contents of a file, for a [`Format`](crate::Format) to read.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    file: File,
    len: u64,
    /// Keeps a downloaded copy; it is removed with this.
    _copy: Option<Scratch>,
}

/// A file that is removed when this is dropped, unless it has moved by then.
#[derive(Debug)]
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Source {
    pub(crate) fn open(path: &Path) -> io::Result<Source> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Source { path: path.to_owned(), file, len, _copy: None })
    }

    /// Of a copy that goes with it.
    #[cfg(feature = "object-store")]
    pub(crate) fn of_copy(copy: Scratch) -> io::Result<Source> {
        let source = Source::open(&copy.0)?;
        Ok(Source { _copy: Some(copy), ..source })
    }

    /// Where the contents lie now: the file itself, or a copy of what an object store has.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks whether a file is empty before reading it")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Reads from the beginning. One reader at a time: they share the place in the file.
    ///
    /// # Errors
    /// When the file cannot be wound back.
    pub fn reader(&self) -> io::Result<impl BufRead + '_> {
        self.rewind_to(0)?;
        Ok(BufReader::with_capacity(BUFFER_BYTES, &self.file))
    }

    /// All bytes, in memory.
    ///
    /// # Errors
    /// When they cannot be read, or there is no memory for them.
    pub fn bytes(&self) -> Result<Buf, Reason> {
        self.rewind_to(0)?;
        self.take(self.len)
    }

    /// Goes to this byte of the file.
    pub(crate) fn rewind_to(&self, at: u64) -> io::Result<()> {
        (&self.file).seek(SeekFrom::Start(at)).map(drop)
    }

    /// The byte of the file that is read next.
    pub(crate) fn position(&self) -> io::Result<u64> {
        (&self.file).stream_position()
    }

    /// The next `len` bytes, in memory of their own.
    pub(crate) fn take_vec(&self, len: u64) -> Result<Vec<u8>, Reason> {
        let mut bytes = vec![0; usize::try_from(len)?];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The next `len` bytes, in memory. A file that has become shorter meanwhile is damaged.
    pub(crate) fn take(&self, len: u64) -> Result<Buf, Reason> {
        let len = usize::try_from(len).map_err(|_| Unfit::other(format!("{len} bytes are too many")))?;
        let mut bytes = BufMut::take(Arena::global(), len)?;
        self.fill(&mut bytes)?;
        Ok(bytes.freeze())
    }

    /// Fills `bytes` with the next ones.
    pub(crate) fn fill(&self, bytes: &mut [u8]) -> Result<(), Reason> {
        (&self.file).read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Unfit::damaged("the file became shorter while it was read"),
            _ => error.into(),
        })
    }
}

/// Between many small reads or writes and the file: enough that the calls of the system do not count.
const BUFFER_BYTES: usize = 1 << 18;

/// A file that is being written, for a [`Format`](crate::Format). It takes its own name when all of it is on disk.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Target {
    pub(crate) fn create(path: &Path, mode: u32) -> io::Result<Target> {
        let file = File::options().write(true).create_new(true).mode(mode).open(path)?;
        Ok(Target { path: path.to_owned(), file: BufWriter::with_capacity(BUFFER_BYTES, file) })
    }

    /// The temporary name, for what writes by path rather than by [`Write`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes out what is still here.
    pub(crate) fn end(mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
