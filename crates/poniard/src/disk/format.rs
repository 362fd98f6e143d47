//! How a value becomes the contents of a file, and back.

use crate::disk::error::Reason;
use crate::disk::source::{Source, Target};
use std::io::{Read, Write};
use std::marker::PhantomData;
use std::path::Path;

/// How values of one type are written to a file and read back.
///
/// [`Binary`](crate::Binary) is for every type; [`Npy`](crate::Npy), [`Raw`](crate::Raw) and others are for what programs
/// of other languages read too. A format of one's own is an implementation of this, or a pair of functions:
/// [`by_reader`], [`by_path`].
pub trait Format<T>: Send + Sync + 'static {
    /// Its name, for errors.
    fn name(&self) -> &str;

    /// Reads a value.
    ///
    /// # Errors
    /// When the contents are not such a value.
    fn read(&self, source: &Source) -> Result<T, Reason>;

    /// Writes a value.
    ///
    /// # Errors
    /// When the value has no such form, or the file cannot be written.
    fn write(&self, value: &T, target: &mut Target) -> Result<(), Reason>;
}

/// A format of two functions, by [`by_reader`] or [`by_path`].
#[derive(Debug)]
pub struct Functions<T, R, W, K> {
    read: R,
    write: W,
    kind: PhantomData<fn(T, K)>,
}

/// The functions of a [`Functions`] take what is read and written.
#[derive(Debug)]
pub struct ByReader;
/// The functions of a [`Functions`] take a path.
#[derive(Debug)]
pub struct ByPath;

/// A format of two functions: one that reads, and one that writes.
///
/// ```
/// use poniard::prelude::*;
/// use std::io::{Read, Write};
/// fn read(from: &mut dyn Read) -> std::io::Result<String> { std::io::read_to_string(from) }
/// fn write(text: &String, to: &mut dyn Write) -> std::io::Result<()> { to.write_all(text.as_bytes()) }
/// # let path = std::env::temp_dir().join(format!("poniard-{}-words.txt", std::process::id()));
/// let file = to_file_with(&"some words".to_string(), &path, poniard::by_reader(read, write))?;
/// assert_eq!(spawn!((|text: &String| text.len())(&file)).fetch()?, 10);
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), TaskError>(())
/// ```
pub fn by_reader<T, E, G, R, W>(read: R, write: W) -> Functions<T, R, W, ByReader>
where
    T: 'static,
    R: Fn(&mut dyn Read) -> Result<T, E> + Send + Sync + 'static,
    W: Fn(&T, &mut dyn Write) -> Result<(), G> + Send + Sync + 'static,
    E: Into<Reason>,
    G: Into<Reason>,
{
    Functions { read, write, kind: PhantomData }
}

/// A format of two functions for what opens files itself: they take the path of the file to read, and that of a new,
/// empty one to write.
pub fn by_path<T, E, G, R, W>(read: R, write: W) -> Functions<T, R, W, ByPath>
where
    T: 'static,
    R: Fn(&Path) -> Result<T, E> + Send + Sync + 'static,
    W: Fn(&T, &Path) -> Result<(), G> + Send + Sync + 'static,
    E: Into<Reason>,
    G: Into<Reason>,
{
    Functions { read, write, kind: PhantomData }
}

impl<T, E, G, R, W> Format<T> for Functions<T, R, W, ByReader>
where
    T: 'static,
    R: Fn(&mut dyn Read) -> Result<T, E> + Send + Sync + 'static,
    W: Fn(&T, &mut dyn Write) -> Result<(), G> + Send + Sync + 'static,
    E: Into<Reason>,
    G: Into<Reason>,
{
    fn name(&self) -> &str {
        std::any::type_name::<R>()
    }

    fn read(&self, source: &Source) -> Result<T, Reason> {
        (self.read)(&mut source.reader()?).map_err(Into::into)
    }

    fn write(&self, value: &T, target: &mut Target) -> Result<(), Reason> {
        (self.write)(value, target).map_err(Into::into)
    }
}

impl<T, E, G, R, W> Format<T> for Functions<T, R, W, ByPath>
where
    T: 'static,
    R: Fn(&Path) -> Result<T, E> + Send + Sync + 'static,
    W: Fn(&T, &Path) -> Result<(), G> + Send + Sync + 'static,
    E: Into<Reason>,
    G: Into<Reason>,
{
    fn name(&self) -> &str {
        std::any::type_name::<R>()
    }

    fn read(&self, source: &Source) -> Result<T, Reason> {
        (self.read)(source.path()).map_err(Into::into)
    }

    fn write(&self, value: &T, target: &mut Target) -> Result<(), Reason> {
        (self.write)(value, target.path()).map_err(Into::into)
    }
}
