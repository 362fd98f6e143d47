//! Why a check could not be made at all, as opposed to what a check found.

use std::fmt;

/// Says what was tried and keeps what stood in the way.
#[derive(Debug)]
pub(crate) struct Error {
    tried: String,
    cause: Option<Box<dyn std::error::Error>>,
}

impl Error {
    pub(crate) fn new(tried: impl Into<String>) -> Self {
        Self { tried: tried.into(), cause: None }
    }

    pub(crate) fn because(tried: impl Into<String>, cause: impl Into<Box<dyn std::error::Error>>) -> Self {
        Self { tried: tried.into(), cause: Some(cause.into()) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tried)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref()
    }
}
