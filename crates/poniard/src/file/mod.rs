//! Files: read when a task needs them, written whole or not at all.
//!
//! * `handle`: the handle, and writing; `travel`: how a handle itself is written.
//! * `place`, `source`, `atomic`: where a file is, reading it, replacing it.
//! * `format`: what a format is; `binary` and the others: formats.
//! * `error`: why not.

pub(crate) mod atomic;
pub(crate) mod binary;
mod error;
mod format;
mod handle;
pub(crate) mod place;
mod source;
mod travel;

pub use binary::Binary;
pub use error::{FileError, Reason};
pub use format::{ByPath, ByReader, Format, Functions, by_path, by_reader};
pub use handle::{File, to_file, to_file_with};
pub use source::{Source, Target};
