//! Where a file is.

use crate::file::atomic;
use crate::file::error::{FileError, Reason, missing};
use crate::file::source::{Source, Target};
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where a file is: a path of this machine, absolute.
#[derive(Clone, Debug)]
pub(crate) struct Place(PathBuf);

impl Place {
    /// Where `path` leads from the working directory as it is now.
    pub(crate) fn of(path: &Path) -> Result<Place, FileError> {
        let opening = |error| FileError::opening(path.display(), named(path, error));
        if path.as_os_str().is_empty() {
            return Err(opening(io::Error::new(ErrorKind::InvalidInput, "the path is empty")));
        }
        std::path::absolute(path).map(Place).map_err(opening)
    }

    /// The same, where there must be a file already; not a byte of it is read.
    pub(crate) fn of_existing(path: &Path) -> Result<Place, FileError> {
        let place = Place::of(path)?;
        let found = std::fs::metadata(&place.0).and_then(|metadata| match metadata.is_dir() {
            true => Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder, not a file")),
            false => Ok(()),
        });
        found.map_err(|error| FileError::opening(path.display(), named(path, error)))?;
        Ok(place)
    }

    /// The path, or the address in its store.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Opens it for reading.
    pub(crate) fn source(&self) -> Result<Source, Reason> {
        Source::open(&self.0).map_err(|error| named(&self.0, error).into())
    }

    /// Writes it anew, whole or not at all.
    pub(crate) fn replace(
        &self,
        write: impl FnOnce(&mut Target) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        atomic::replace(&self.0, write)
    }
}

/// The system's words say nothing of where it looked.
fn named(path: &Path, error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::NotFound => missing(path, std::env::current_dir().ok().as_deref()),
        _ => error,
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}
