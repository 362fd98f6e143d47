//! How a handle of a file is written: by path and format, or, where the format is a user's, beside the bytes.

use crate::disk::binary::Binary;
use crate::disk::format::Format;
use crate::disk::place::Place;
#[cfg(feature = "arrow")]
use crate::file::arrow;
use crate::file::handle::File;
use crate::file::npy::Npy;
use crate::file::raw::Raw;
use poniard_model::Data;
use poniard_model::codec::{carried, carry};
use poniard_store::{Blob, Tile};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::any::Any;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
enum Written {
    /// A path, which need not be text, and the name of a format of ours.
    Named(Vec<u8>, String),
    /// A thing of this process.
    Beside(u32),
}

impl<T: Data> Serialize for File<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = if self.place().is_found_by_path() && known::<T>(self.format_name()).is_some() {
            let path = self.path().as_os_str().as_bytes().to_vec();
            Some(Written::Named(path, self.format_name().to_owned()))
        } else {
            carry(Arc::new(self.clone())).map(Written::Beside)
        };
        match written {
            Some(written) => written.serialize(serializer),
            None => Err(ser::Error::custom(format_args!(
                "a file in the format {} can only be passed between tasks, not written elsewhere",
                self.format_name()
            ))),
        }
    }
}

impl<'de, T: Data> Deserialize<'de> for File<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<File<T>, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Named(path, format) => {
                let known = known::<T>(&format)
                    .ok_or_else(|| de::Error::custom(format_args!("there is no format {format} here")))?;
                let place = Place::of(&PathBuf::from(OsString::from_vec(path))).map_err(de::Error::custom)?;
                Ok(File::new(place, known))
            }
            Written::Beside(number) => {
                let thing = carried(number);
                let file = thing.and_then(|file| file.downcast_ref::<File<T>>().cloned());
                file.ok_or_else(|| {
                    de::Error::custom("these bytes came without the file that belongs to them")
                })
            }
        }
    }
}

/// The format of this name for a `T`, of those that need no more than their name.
fn known<T: Data>(name: &str) -> Option<Arc<dyn Format<T>>> {
    if name == Format::<T>::name(&Binary) {
        return Some(Arc::new(Binary));
    }
    of_some_types(name).into_iter().find_map(|format| format.downcast_ref::<Arc<dyn Format<T>>>().cloned())
}

/// The formats of this name that are for some types only, each as an `Arc<dyn Format<_>>`.
fn of_some_types(name: &str) -> Vec<Box<dyn Any>> {
    fn boxed<T: 'static>(format: impl Format<T>) -> Box<dyn Any> {
        let format: Arc<dyn Format<T>> = Arc::new(format);
        Box::new(format)
    }
    macro_rules! arrays {
        ($($number:ty),*) => {
            vec![$(boxed::<Tile<$number>>(Npy), boxed::<Vec<$number>>(Npy)),*]
        };
    }
    match name {
        "npy" => arrays!(f32, f64, i8, i16, i32, i64, u8, u16, u32, u64),
        "raw" => vec![boxed::<Blob>(Raw)],
        #[cfg(feature = "arrow")]
        "arrow" => vec![boxed(arrow::ArrowIpc)],
        #[cfg(feature = "arrow")]
        "arrow stream" => vec![boxed(arrow::ArrowStream)],
        #[cfg(feature = "arrow")]
        "parquet" => vec![boxed(arrow::Parquet)],
        _ => Vec::new(),
    }
}
