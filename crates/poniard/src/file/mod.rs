//! Files: read when a task needs them, written whole or not at all.
//!
//! * `handle`: the handle, and writing; `travel`: how a handle itself is written.
//! * `place`, `object`, `source`, `atomic`: where a file is, reading it, replacing it.
//! * `format`: what a format is; `binary` and the others: formats.
//! * `error`: why not.

#[cfg(feature = "arrow")]
mod arrow;
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
#[cfg(feature = "object-store")]
mod object;
pub(crate) mod place;
mod raw;
mod source;
#[cfg(feature = "arrow")]
mod table;
mod travel;

#[cfg(feature = "arrow")]
pub use arrow::{ArrowIpc, ArrowStream, Parquet};
pub use binary::Binary;
#[cfg(feature = "csv")]
pub use csv::{Csv, Separated};
pub use error::{FileError, Reason};
pub use format::{ByPath, ByReader, Format, Functions, by_path, by_reader};
#[cfg(feature = "object-store")]
pub use handle::to_file_in;
pub use handle::{File, to_file, to_file_with};
#[cfg(feature = "json")]
pub use json::Json;
pub use npy::Npy;
pub use raw::{Raw, RawTile};
pub use source::{Source, Target};
#[cfg(feature = "arrow")]
pub use table::Table;
