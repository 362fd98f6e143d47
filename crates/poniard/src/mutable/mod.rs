//! Data that tasks change in place.

mod spec;

pub use spec::MutableSpec;
pub(crate) use spec::{Making, spawn_at};

use crate::function::{IntoArgument, OneAlone, OneResult, site};
use crate::{cluster, options, passenger};
use poniard_model::{Cause, Data, Scope, TaskError, TaskOptions};
use poniard_pool::{Datum, Read, Write};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::panic::Location;

/// A value that tasks change in place. It is made by [`mutable!`](crate::mutable!), and clones are the same value.
///
/// As an argument, `&mut m` gives the function `&mut T`, alone with the value, and `&m` gives it `&T`, shared with others that
/// read. A task that changes it runs after all that were spawned before it and use it; a task that reads it runs after those
/// that were spawned before it and change it. No thread waits for that: a task becomes ready when its turn has come.
///
/// ```
/// use poniard::prelude::*;
/// # fn push(list: &mut Vec<u32>, x: u32) { list.push(x) }
/// # fn count(list: &[u32]) -> usize { list.len() }
/// let mut m = mutable!(vec![1, 2]);
/// spawn!(push(&mut m, 3));
/// let three = spawn!(count(&m));
/// spawn!(push(&mut m, 4));
/// assert_eq!(three.fetch()?, 3);
/// assert_eq!(m.fetch()?, [1, 2, 3, 4]);
/// # Ok::<(), TaskError>(())
/// ```
///
/// A turn ends when the function has returned, or when the task has ended without running and all its inputs have ended.
/// How it ended makes no difference to those that come after: a task that fails, panics, is cancelled or runs out of time leaves
/// the value as it was at that moment, perhaps half changed, and the next one has it. A function that goes on after its time
/// limit, or after a halt, keeps its turn until it returns; those behind it wait that long. With `retries` a task
/// keeps its turn from the first attempt to the last, and each attempt finds what the one before has left. A lazy task, or
/// one of a `spawn_bulk`, takes its place in the order when it is launched.
///
/// A value lives in one process, and tasks that use it run there, whoever spawns them. A handle goes to other workers, inside
/// arguments, results and other handles, and is of the same value there. The tasks that one process spawns have their turns in the
/// order of their spawns; between them come those of others. A value that others have handles of keeps its worker from being removed;
/// when the worker is lost, so is the value, and what needs it fails ([`TaskError::is_state_lost`]). A value lives until its last handle is
/// gone, wherever that is.
///
/// It is an error of the task, when it is fetched, to give the same value twice to one function, unless both only read; and it
/// is an error to wait inside for a task whose turn comes after that of the task that waits.
pub struct Mutable<T>(Datum<T>);

impl<T: Send + Sync + 'static> Mutable<T> {
    /// A value that lives here: what `mutable!(value)` is.
    pub fn new(value: T) -> Mutable<T> {
        Mutable(Datum::new(value, None))
    }

    pub(crate) fn from_datum(datum: Datum<T>) -> Mutable<T> {
        Mutable(datum)
    }

    pub(crate) fn datum(&self) -> &Datum<T> {
        &self.0
    }

    /// Access to read.
    #[inline]
    pub(crate) fn read(&self) -> Read<T> {
        Read::to(self.0.clone())
    }

    /// Access alone.
    #[inline]
    pub(crate) fn write(&self) -> Write<T> {
        Write::to(self.0.clone())
    }

    /// Waits for the tasks spawned so far that change the value, and copies it, from another worker if it lives there.
    ///
    /// # Errors
    /// When the value could not be made or is lost with its worker, or when this waits for itself: inside a task whose own turn comes
    /// first, or inside [`Mutable::with_mut`].
    #[track_caller]
    pub fn fetch(&self) -> Result<T, TaskError>
    where
        T: Data + Clone,
    {
        let caller = Location::caller();
        if self.0.home_elsewhere().is_none() {
            return self.shown(T::clone, caller);
        }
        started()?;
        let site = site::<Mutable<T>>(caller);
        let extra = options::resolve(TaskOptions::default(), &[], TaskOptions::default(), Some(self.scope()));
        poniard_pool::spawn_with((self.read(),), |(value,): (&T,)| Ok(value.clone()), site, extra).cloned()
    }

    /// Waits for the tasks spawned so far that change the value, and shows it to `read`, on this thread. Tasks that change it
    /// and are spawned later wait until `read` returns.
    ///
    /// The value has to live in this process.
    ///
    /// ```
    /// use poniard::prelude::*;
    /// let m = mutable!(String::from("short"));
    /// assert_eq!(m.with(|text| text.len())?, 5);
    /// # Ok::<(), TaskError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Mutable::fetch`], and when the value lives on another worker.
    #[track_caller]
    pub fn with<R>(&self, read: impl FnOnce(&T) -> R) -> Result<R, TaskError> {
        self.shown(read, Location::caller())
    }

    fn shown<R>(
        &self,
        read: impl FnOnce(&T) -> R,
        caller: &'static Location<'static>,
    ) -> Result<R, TaskError> {
        started()?;
        self.0.read(site::<Mutable<T>>(caller), read)
    }

    /// Waits for the tasks spawned so far that use the value, and gives it to `write`, on this thread. Tasks that are spawned
    /// later and use it wait until `write` returns. The value has to live in this process.
    ///
    /// ```
    /// use poniard::prelude::*;
    /// let mut m = mutable!(vec![1]);
    /// m.with_mut(|list| list.push(2))?;
    /// assert_eq!(m.fetch()?, [1, 2]);
    /// # Ok::<(), TaskError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Mutable::with`].
    #[track_caller]
    pub fn with_mut<R>(&mut self, write: impl FnOnce(&mut T) -> R) -> Result<R, TaskError> {
        started()?;
        self.0.write(site::<Mutable<T>>(Location::caller()), write)
    }

    /// Where it lives: tasks that use it run there.
    pub fn scope(&self) -> Scope {
        let lives = self.0.lives().and_then(|lives| lives.downcast_ref::<Scope>());
        lives.cloned().unwrap_or_else(|| Scope::worker(poniard_pool::me()))
    }

    /// Why the value could not be made, if it could not: tasks that use it fail because of this.
    pub fn error(&self) -> Option<&TaskError> {
        self.0.error()
    }

    /// Whether both are the same value.
    pub fn is_same(&self, other: &Mutable<T>) -> bool {
        self.0.is_same(&other.0)
    }
}

/// Makes sure that the runtime runs that the environment describes.
fn started() -> Result<(), TaskError> {
    cluster::ensure().map_err(|reason| TaskError::without_task(Cause::scheduling(reason)))
}

impl<T: Send + Sync + 'static> IntoArgument<OneResult> for &Mutable<T> {
    type Argument = Read<T>;
    fn into_argument(self) -> Read<T> {
        self.read()
    }
}

impl<T: Send + Sync + 'static> IntoArgument<OneAlone> for &mut Mutable<T> {
    type Argument = Write<T>;
    fn into_argument(self) -> Write<T> {
        self.write()
    }
}

impl<T> Clone for Mutable<T> {
    #[inline]
    fn clone(&self) -> Mutable<T> {
        Mutable(self.0.clone())
    }
}

impl<T> fmt::Debug for Mutable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutable").finish_non_exhaustive()
    }
}

/// A handle travels beside the bytes of the value that holds it, and the value of the mutable stays where it is; other formats than
/// Poniard's own cannot carry it.
impl<T: Send + Sync + 'static> Serialize for Mutable<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        passenger::write_datum(&self.0, serializer)
    }
}

impl<'de, T: Send + Sync + 'static> Deserialize<'de> for Mutable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mutable<T>, D::Error> {
        passenger::read_datum(deserializer).map(Mutable)
    }
}
