//! Handles of files.

use crate::disk::binary::Binary;
use crate::disk::error::{FileError, Reason};
use crate::disk::format::{Format, by_path, by_reader};
#[cfg(feature = "object-store")]
use crate::disk::object::ObjectPlace;
use crate::disk::place::Place;
use crate::lazy::{Lazy, WeakLazy};
use crate::options::Options;
use crate::task::{DTask, Ref};
#[cfg(feature = "object-store")]
use object_store::ObjectStore;
use poniard_model::{Cause, Data, Site, TaskError};
use poniard_pool::Code;
use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A handle of a file whose contents are a `T`: an argument that tasks take as `&T`.
///
/// To open one reads nothing. The contents are read by a task of their own, which holds no processor, when a task needs
/// them; tasks that use the same handle at the same time share them. The handle is cheap to clone and is data itself. The
/// file stays when the handle goes.
///
/// ```
/// use poniard::prelude::*;
/// fn sum(xs: &[f64]) -> f64 { xs.iter().sum() }
/// # let path = std::env::temp_dir().join(format!("poniard-{}-numbers", std::process::id()));
/// let file = to_file(&vec![1.0, 2.0, 3.0], &path)?;
/// assert_eq!(spawn!(sum(&file)).fetch()?, 6.0);
/// let again = File::<Vec<f64>>::open(&path)?;
/// assert_eq!(again.fetch()?, [1.0, 2.0, 3.0]);
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), TaskError>(())
/// ```
pub struct File<T>(Arc<Inner<T>>);

struct Inner<T> {
    place: Place,
    format: Arc<dyn Format<T>>,
    /// The task that reads, or has read, the contents. It is kept by those who use it, not by this.
    reading: Mutex<Option<WeakLazy<T>>>,
}

impl<T: Data> File<T> {
    /// A handle of the file at `path`, in the format [`Binary`] unless another is set. A relative path is one from the
    /// working directory as it is now. Nothing is read.
    ///
    /// # Errors
    /// When there is no file.
    pub fn open(path: impl AsRef<Path>) -> Result<File<T>, FileError> {
        Ok(File::new(Place::of_existing(path.as_ref())?, Arc::new(Binary)))
    }

    /// A handle of an object of this store, in the format [`Binary`] unless another is set. Nothing of it is read.
    ///
    /// # Errors
    /// When there is no such object, or the store does not answer.
    #[cfg(feature = "object-store")]
    pub fn open_in(store: Arc<dyn ObjectStore>, key: &str) -> Result<File<T>, FileError> {
        let place = ObjectPlace::of(store, key).map_err(|reason| FileError::opening(key, reason))?;
        place.check().map_err(|error| FileError::opening(&place, error))?;
        Ok(File::new(Place::Object(place), Arc::new(Binary)))
    }

    pub(crate) fn new(place: Place, format: Arc<dyn Format<T>>) -> File<T> {
        File(Arc::new(Inner { place, format, reading: Mutex::new(None) }))
    }

    /// The same file in another format.
    #[must_use]
    pub fn format(self, format: impl Format<T>) -> File<T> {
        File::new(self.0.place.clone(), Arc::new(format))
    }

    /// The same file in a format of two functions: see [`by_reader`].
    #[must_use]
    pub fn with<E: Into<Reason> + 'static, G: Into<Reason> + 'static>(
        self,
        read: impl Fn(&mut dyn Read) -> Result<T, E> + Send + Sync + 'static,
        write: impl Fn(&T, &mut dyn Write) -> Result<(), G> + Send + Sync + 'static,
    ) -> File<T> {
        self.format(by_reader(read, write))
    }

    /// The same file in a format of two functions that take paths: see [`by_path`].
    #[must_use]
    pub fn with_paths<E: Into<Reason> + 'static, G: Into<Reason> + 'static>(
        self,
        read: impl Fn(&Path) -> Result<T, E> + Send + Sync + 'static,
        write: impl Fn(&T, &Path) -> Result<(), G> + Send + Sync + 'static,
    ) -> File<T> {
        self.format(by_path(read, write))
    }

    /// Where the file is: its absolute path, or its address in a store.
    pub fn path(&self) -> &Path {
        self.0.place.path()
    }

    /// Waits for the contents, and gives a copy.
    ///
    /// # Errors
    /// When they cannot be read; the root of the error is a [`FileError`].
    pub fn fetch(&self) -> Result<T, TaskError>
    where
        T: Clone,
    {
        self.reading().fetch()
    }

    /// Waits for the contents, and borrows them: they stay in memory for as long as this is held.
    ///
    /// # Errors
    /// As for [`File::fetch`].
    pub fn fetch_ref(&self) -> Result<Ref<T>, TaskError> {
        self.reading().fetch_ref()
    }

    /// Writes other contents, as [`to_file`] does. Who reads the old ones goes on with them.
    ///
    /// # Errors
    /// When they cannot be written; then the file is as it was.
    pub fn write(&self, value: &T) -> Result<(), FileError> {
        let Inner { place, format, reading } = &*self.0;
        let written = place.replace(|target| format.write(value, target));
        *reading.lock().unwrap_or_else(PoisonError::into_inner) = None;
        written.map_err(|reason| FileError::writing(place, format.name(), reason))
    }

    /// Reads the contents, here and now.
    fn read(&self) -> Result<T, FileError> {
        let Inner { place, format, .. } = &*self.0;
        let read = place.source().and_then(|source| format.read(&source));
        read.map_err(|reason| FileError::reading(place, format.name(), reason))
    }

    /// The task that reads the contents, on its way.
    pub(crate) fn reading(&self) -> DTask<T> {
        let (task, lazy) = self.find();
        if let Some(lazy) = lazy {
            lazy.launch_apart();
        }
        task
    }

    /// The same for a lazy task, which is to launch it.
    pub(crate) fn reading_later(&self) -> DTask<T> {
        let (task, lazy) = self.find();
        if let Some(lazy) = lazy {
            lazy.keep_for_graph();
        }
        task
    }

    /// The task that reads the contents, and the lazy task that it is while it is not launched: one that somebody uses
    /// and that has not failed, or a new one.
    fn find(&self) -> (DTask<T>, Option<Lazy<T>>) {
        static SITE: Site = Site::new("read a file", file!(), line!());
        let mut reading = self.0.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let found = reading.as_ref().and_then(WeakLazy::upgrade);
        if let Some((task, lazy)) = found.filter(|(task, _)| task.any().error().is_none()) {
            return (task, lazy);
        }
        let name = format!("read {}", self.0.place);
        // It waits for the disk, so it keeps no processor from others.
        let options = Options::new().name(name).occupancy(0.0).threads(1);
        let arguments = (Code::new(self.clone()),);
        let lazy = Lazy::apart(arguments, options, |(file,)| file.read().map_err(Cause::from), &SITE);
        *reading = Some(lazy.downgrade());
        (lazy.handle().clone(), Some(lazy))
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0.place
    }

    pub(crate) fn format_name(&self) -> &str {
        self.0.format.name()
    }
}

/// Writes a value to a file in the format [`Binary`], and gives a handle of it. A file that is there is replaced.
///
/// The value is on disk when this returns, the folder's entry too; when it fails, an old file is as it was. It may be
/// called in tasks.
///
/// # Errors
/// When the value has no bytes, or the file cannot be written.
pub fn to_file<T: Data>(value: &T, path: impl AsRef<Path>) -> Result<File<T>, FileError> {
    to_file_with(value, path, Binary)
}

/// The same in another format.
///
/// # Errors
/// As for [`to_file`], and when the format has no form for the value.
pub fn to_file_with<T: Data>(
    value: &T,
    path: impl AsRef<Path>,
    format: impl Format<T>,
) -> Result<File<T>, FileError> {
    let file = File::new(Place::of(path.as_ref())?, Arc::new(format));
    file.write(value)?;
    Ok(file)
}

/// The same into an object store: the object is there whole, or not at all.
///
/// # Errors
/// As for [`to_file_with`], and when the store refuses the object.
#[cfg(feature = "object-store")]
pub fn to_file_in<T: Data>(
    value: &T,
    store: Arc<dyn ObjectStore>,
    key: &str,
    format: impl Format<T>,
) -> Result<File<T>, FileError> {
    let place = ObjectPlace::of(store, key).map_err(|reason| FileError::opening(key, reason))?;
    let file = File::new(Place::Object(place), Arc::new(format));
    file.write(value)?;
    Ok(file)
}

impl<T> Clone for File<T> {
    fn clone(&self) -> File<T> {
        File(self.0.clone())
    }
}

impl<T: 'static> fmt::Debug for File<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({} as {})", self.0.place, self.0.format.name())
    }
}
