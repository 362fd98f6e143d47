//! What is on disk, or in a store: where it is, how it is read and written, and in which form.
//!
//! * `place`, `object`, `source`, `atomic`: where a file is, reading it, replacing it whole or not at all.
//! * `format`: what a format is; `binary`: the one for every type.
//! * `error`: why not.

pub(crate) mod atomic;
pub(crate) mod binary;
pub(crate) mod error;
pub(crate) mod format;
#[cfg(feature = "object-store")]
pub(crate) mod object;
pub(crate) mod place;
pub(crate) mod source;

pub use binary::Binary;
pub use error::{FileError, Reason};
pub use format::{ByPath, ByReader, Format, Functions, by_path, by_reader};
pub use source::{Source, Target};
