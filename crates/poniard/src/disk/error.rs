//! Why a file could not be opened, read or written.

use poniard_model::{Cause, TaskError};
use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What went wrong inside a format, or below it.
pub type Reason = Box<dyn Error + Send + Sync>;

/// A file could not be opened, read or written: `Display` says which, where, and why. Clones share everything.
///
/// It is the root of the error of a task that was to use the file: `error.downcast_ref::<FileError>()`.
#[derive(Clone)]
pub struct FileError(Arc<Failure>);

struct Failure {
    /// `open`, `read` or `write`.
    verb: &'static str,
    place: String,
    /// The format's name, with `as` before it.
    format: String,
    reason: Reason,
}

/// The contents are not what was written, or not what was asked for.
#[derive(Debug)]
pub(crate) struct Unfit {
    /// Whether bytes are missing or changed; else they are right, and of something else.
    is_damage: bool,
    text: String,
}

impl Unfit {
    /// Bytes are missing, left over or changed.
    pub(crate) fn damaged(text: impl Into<String>) -> Reason {
        Box::new(Unfit { is_damage: true, text: text.into() })
    }

    /// The bytes are of another type, shape or kind than what is asked for.
    pub(crate) fn other(text: impl Into<String>) -> Reason {
        Box::new(Unfit { is_damage: false, text: text.into() })
    }
}

impl FileError {
    pub(crate) fn opening(place: impl fmt::Display, reason: impl Into<Reason>) -> FileError {
        FileError::new("open", place, String::new(), reason.into())
    }

    pub(crate) fn reading(place: impl fmt::Display, format: &str, reason: Reason) -> FileError {
        FileError::new("read", place, format!(" as {format}"), reason)
    }

    pub(crate) fn writing(place: impl fmt::Display, format: &str, reason: Reason) -> FileError {
        FileError::new("write", place, format!(" as {format}"), reason)
    }

    fn new(verb: &'static str, place: impl fmt::Display, format: String, reason: Reason) -> FileError {
        FileError(Arc::new(Failure { verb, place: place.to_string(), format, reason }))
    }

    /// Whether there is no such file.
    pub fn is_not_found(&self) -> bool {
        let io = self.0.reason.downcast_ref::<io::Error>();
        io.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the file is not as it was written: cut off, or changed.
    pub fn is_damaged(&self) -> bool {
        self.unfit().is_some_and(|unfit| unfit.is_damage)
    }

    /// Whether the file holds something else: a value of another type or shape.
    pub fn is_of_another_type(&self) -> bool {
        self.unfit().is_some_and(|unfit| !unfit.is_damage)
    }

    fn unfit(&self) -> Option<&Unfit> {
        self.0.reason.downcast_ref()
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { verb, place, format, reason } = &*self.0;
        write!(f, "cannot {verb} {place}{format}: {reason}")
    }
}

impl fmt::Debug for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0.reason)
    }
}

/// What lets a program that returns [`poniard::Result`](crate::Result) open files with `?`.
impl From<FileError> for TaskError {
    fn from(error: FileError) -> TaskError {
        TaskError::without_task(Cause::returned(Box::new(error)))
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Unfit {}

/// There is nothing at `path`, which was `given` as it stands here.
pub(crate) fn missing(given: &Path, folder: Option<&Path>) -> io::Error {
    let text = match folder {
        _ if given.to_string_lossy().contains("://") => "there is no such object".to_owned(),
        Some(folder) if given.is_relative() => {
            format!("there is no such file in {}, the working directory", folder.display())
        }
        _ => "there is no such file".to_owned(),
    };
    io::Error::new(io::ErrorKind::NotFound, text)
}
