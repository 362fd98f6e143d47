//! Where a file is.

use crate::disk::atomic;
use crate::disk::error::{FileError, Reason, missing};
#[cfg(feature = "object-store")]
use crate::disk::object::{Found, ObjectPlace};
use crate::disk::source::{Source, Target};
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where a file is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// At a path of this machine, which is absolute.
    Local(PathBuf),
    #[cfg(feature = "object-store")]
    Object(ObjectPlace),
}

impl Place {
    /// Where `path` leads from the working directory as it is now.
    pub(crate) fn of(path: &Path) -> Result<Place, FileError> {
        let opening = |error| FileError::opening(path.display(), named(path, error));
        if let Some(address) = path.to_str().filter(|path| path.contains("://")) {
            return Place::of_address(address).map_err(|reason| FileError::opening(path.display(), reason));
        }
        if path.as_os_str().is_empty() {
            return Err(opening(io::Error::new(ErrorKind::InvalidInput, "the path is empty")));
        }
        std::path::absolute(path).map(Place::Local).map_err(opening)
    }

    #[cfg(feature = "object-store")]
    fn of_address(address: &str) -> Result<Place, Reason> {
        Ok(match ObjectPlace::of_address(address)? {
            Found::File(path) => Place::Local(path),
            Found::Object(place) => Place::Object(place),
        })
    }

    #[cfg(not(feature = "object-store"))]
    fn of_address(_: &str) -> Result<Place, Reason> {
        Err("addresses need the feature `object-store` of crate `poniard`".into())
    }

    /// The same, where there must be a file already; not a byte of it is read.
    pub(crate) fn of_existing(path: &Path) -> Result<Place, FileError> {
        let place = Place::of(path)?;
        place.check().map_err(|error| FileError::opening(path.display(), named(path, error)))?;
        Ok(place)
    }

    /// Whether a file is there.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self {
            Place::Local(path) if std::fs::metadata(path)?.is_dir() => {
                Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder, not a file"))
            }
            Place::Local(_) => Ok(()),
            #[cfg(feature = "object-store")]
            Place::Object(place) => place.check(),
        }
    }

    /// The path, or the address in its store.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Place::Local(path) => path,
            #[cfg(feature = "object-store")]
            Place::Object(place) => place.path(),
        }
    }

    /// Whether its path leads there in another process too.
    pub(crate) fn is_found_by_path(&self) -> bool {
        match self {
            Place::Local(_) => true,
            #[cfg(feature = "object-store")]
            Place::Object(place) => place.is_address(),
        }
    }

    /// Opens it for reading.
    pub(crate) fn source(&self) -> Result<Source, Reason> {
        match self {
            Place::Local(path) => Source::open(path).map_err(|error| named(path, error).into()),
            #[cfg(feature = "object-store")]
            Place::Object(place) => place.source(),
        }
    }

    /// Writes it anew, whole or not at all.
    pub(crate) fn replace(
        &self,
        write: impl FnOnce(&mut Target) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        match self {
            Place::Local(path) => atomic::replace(path, write),
            #[cfg(feature = "object-store")]
            Place::Object(place) => place.replace(write),
        }
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
        self.path().display().fmt(f)
    }
}
