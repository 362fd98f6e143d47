//! Files: read when a task needs them, written whole or not at all.
//!
//! * `handle`: the handle, and writing; `travel`: how a handle itself is written.
//! * `place`, `source`, `atomic`: where a file is, reading it, replacing it.
//! * `format`: what a format is; `binary` and the others: formats.
//! * `error`: why not.

pub(crate) mod atomic;
pub(crate) mod binary;
#[cfg(feature = "csv")]
mod csv;
mod error;
mod format;
mod handle;
#[cfg(feature = "json")]
mod json;
mod npy;
pub(crate) mod place;
mod raw;
mod source;
mod travel;

pub use binary::Binary;
#[cfg(feature = "csv")]
pub use csv::{Csv, Separated};
pub use error::{FileError, Reason};
pub use format::{ByPath, ByReader, Format, Functions, by_path, by_reader};
pub use handle::{File, to_file, to_file_with};
#[cfg(feature = "json")]
pub use json::Json;
pub use npy::Npy;
pub use raw::{Raw, RawTile};
pub use source::{Source, Target};
