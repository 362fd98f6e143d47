//! What goes wrong between memory and disk.

use super::chunk::ChunkId;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why bytes did not get to the disk, or back.
#[derive(Debug)]
pub struct Error(Kind);

#[derive(Debug)]
enum Kind {
    Io { tried: &'static str, path: PathBuf, offset: Option<u64>, source: io::Error },
    Full { folder: PathBuf, need: u64, free: u64, limit: u64 },
    Corrupt { chunk: ChunkId, path: PathBuf, offset: u64, how: String },
    UnsafeFolder { folder: PathBuf, why: String },
    NoFolder,
    Unreadable { chunk: ChunkId, how: String },
    Unmade { chunk: ChunkId, source: Box<dyn std::error::Error + Send + Sync> },
    Refused { why: String },
    Unfetched { chunk: ChunkId, how: String },
}

impl Error {
    /// The system refused what was `tried` on `path`.
    pub(super) fn io(tried: &'static str, path: &Path, source: io::Error) -> Error {
        Error(Kind::Io { tried, path: path.to_owned(), offset: None, source })
    }

    /// The system refused what was `tried` at `offset` of `path`.
    pub(super) fn io_at(tried: &'static str, path: &Path, offset: u64, source: io::Error) -> Error {
        Error(Kind::Io { tried, path: path.to_owned(), offset: Some(offset), source })
    }

    /// There is no place for `need` more bytes.
    pub(super) fn full(folder: &Path, need: u64, free: u64, limit: u64) -> Error {
        Error(Kind::Full { folder: folder.to_owned(), need, free, limit })
    }

    /// What was read is not what was written.
    pub(super) fn corrupt(chunk: ChunkId, path: &Path, offset: u64, how: String) -> Error {
        Error(Kind::Corrupt { chunk, path: path.to_owned(), offset, how })
    }

    /// Somebody else could read or replace what is written to `folder`.
    pub(super) fn unsafe_folder(folder: &Path, why: impl Into<String>) -> Error {
        Error(Kind::UnsafeFolder { folder: folder.to_owned(), why: why.into() })
    }

    /// No folder was named to spill to.
    pub fn no_folder() -> Error {
        Error(Kind::NoFolder)
    }

    /// The bytes came back, and no value could be made of them.
    pub fn unreadable(chunk: ChunkId, how: &str) -> Error {
        Error(Kind::Unreadable { chunk, how: how.to_owned() })
    }

    /// The chunk was to be made again, and the task that does so failed.
    pub fn unmade(chunk: ChunkId, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error(Kind::Unmade { chunk, source: source.into() })
    }

    /// The bytes are in another process, and cannot be had.
    pub fn unfetched(chunk: ChunkId, how: &str) -> Error {
        Error(Kind::Unfetched { chunk, how: how.to_owned() })
    }

    /// The transfer could not begin.
    pub fn refused(why: &str) -> Error {
        Error(Kind::Refused { why: why.to_owned() })
    }

    /// Whether the disk or the limit is full.
    pub fn is_full(&self) -> bool {
        matches!(self.0, Kind::Full { .. })
    }

    /// Whether the bytes on disk are not those that were written.
    pub fn is_corrupt(&self) -> bool {
        matches!(self.0, Kind::Corrupt { .. })
    }

    /// Whether the spill directory is not safe to use.
    pub fn is_unsafe_folder(&self) -> bool {
        matches!(self.0, Kind::UnsafeFolder { .. })
    }

    /// The system's error number, where the system refused.
    pub fn raw_os_error(&self) -> Option<i32> {
        match &self.0 {
            Kind::Io { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Io { tried, path, offset: None, source } => {
                write!(f, "cannot {tried} {}: {source}", path.display())
            }
            Kind::Io { tried, path, offset: Some(offset), source } => {
                write!(f, "cannot {tried} {} at offset {offset}: {source}", path.display())
            }
            Kind::Full { folder, need, free, limit } => {
                let folder = folder.display();
                write!(f, "no room to spill {need} bytes to {folder}: {free} are free")?;
                if *limit == u64::MAX { Ok(()) } else { write!(f, ", the limit is {limit}") }
            }
            Kind::Corrupt { chunk, path, offset, how } => {
                write!(f, "cannot restore {chunk} from {} at offset {offset}: {how}", path.display())
            }
            Kind::UnsafeFolder { folder, why } => {
                write!(f, "will not spill to {}: {why}", folder.display())
            }
            Kind::NoFolder => f.write_str("there is no folder to spill to"),
            Kind::Unreadable { chunk, how } => write!(f, "cannot restore {chunk}: {how}"),
            Kind::Unmade { chunk, source } => write!(f, "cannot make {chunk} again: {source}"),
            Kind::Unfetched { chunk, how } => write!(f, "cannot fetch {chunk}: {how}"),
            Kind::Refused { why } => write!(f, "cannot begin to move a chunk to or from disk: {why}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Kind::Io { source, .. } => Some(source),
            Kind::Unmade { source, .. } => Some(&**source),
            _ => None,
        }
    }
}
