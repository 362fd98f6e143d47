//! Files as arguments and results: read when a task needs them.
//!
//! * `handle`: the handle, and writing; `argument`: as what tasks take it; `travel`: how a handle itself is written.
//! * `npy`, `raw`, `json`, `csv`, `arrow`, `table`: formats of others.

mod argument;
#[cfg(feature = "arrow")]
mod arrow;
#[cfg(feature = "csv")]
mod csv;
mod handle;
#[cfg(feature = "json")]
mod json;
mod npy;
mod raw;
#[cfg(feature = "arrow")]
mod table;
mod travel;

#[cfg(feature = "arrow")]
pub use arrow::{ArrowIpc, ArrowStream, Parquet};
#[cfg(feature = "csv")]
pub use csv::{Csv, Separated};
#[cfg(feature = "object-store")]
pub use handle::to_file_in;
pub use handle::{File, to_file, to_file_with};
#[cfg(feature = "json")]
pub use json::Json;
pub use npy::Npy;
pub use raw::{Raw, RawTile};
#[cfg(feature = "arrow")]
pub use table::Table;
