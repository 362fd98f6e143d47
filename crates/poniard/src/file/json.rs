//! JSON (feature `json`).

use crate::disk::error::{Reason, Unfit};
use crate::disk::format::Format;
use crate::disk::source::{Source, Target};
use serde::{Serialize, de::DeserializeOwned};

/// JSON, for every type that serde knows; nested at most 128 deep. There are no NaN and infinities in JSON: they are written as
/// `null`, which is `None` of an `Option` when it is read, and an error elsewhere.
///
/// ```
/// use poniard::{Json, prelude::*};
/// # let path = std::env::temp_dir().join(format!("poniard-{}.json", std::process::id()));
/// let file = to_file_with(&vec![1, 2, 3], &path, Json)?;
/// assert_eq!(std::fs::read_to_string(&path).unwrap(), "[1,2,3]");
/// assert_eq!(file.fetch()?, [1, 2, 3]);
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), TaskError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<T: Serialize + DeserializeOwned + 'static> Format<T> for Json {
    fn name(&self) -> &str {
        "json"
    }

    fn read(&self, source: &Source) -> Result<T, Reason> {
        // Serde's own reader of files takes its bytes one by one.
        serde_json::from_slice(&source.bytes()?).map_err(|error| match error.is_eof() {
            true => Unfit::damaged(error.to_string()),
            false => Unfit::other(error.to_string()),
        })
    }

    fn write(&self, value: &T, target: &mut Target) -> Result<(), Reason> {
        Ok(serde_json::to_writer(target, value)?)
    }
}
