//! Values that stay where they are: the results of tasks that have ended, and what was put without a task.

use crate::cluster;
use crate::passenger;
use crate::region;
use crate::task::{DTask, Ref};
use poniard_model::{ChunkId, Data, Scope, Site, TaskError, WorkerId};
use poniard_pool::Handle;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A value that stays where it was made, in memory or on disk, for as long as there is a handle of it.
///
/// Tasks take it as they take results: `&c` gives the function `&T`. Large ones count for the memory budget, and go to disk
/// while nobody uses them and there is too little room.
///
/// ```
/// use poniard::prelude::*;
/// let c: Chunk<Vec<f64>> = put(vec![1.0; 1 << 20])?;
/// let sum = spawn!((|numbers: &Vec<f64>| numbers.iter().sum::<f64>())(&c));
/// assert_eq!(sum.fetch()?, 1048576.0);
/// assert_eq!((c.bytes(), c.is_resident(), c.worker()), (8 << 20, true, WorkerId(1)));
/// # Ok::<(), TaskError>(())
/// ```
pub struct Chunk<T>(pub(crate) Handle<T>);

/// Keeps a value, so that many tasks can use it and it may go to disk meanwhile. A large one waits until there is room.
///
/// # Errors
/// When there is no room for it, and none can be made: nothing more fits on the disk, or all that is in memory is in use.
/// When there is no runtime, because the environment makes no sense.
pub fn put<T: Data>(value: T) -> Result<Chunk<T>, TaskError> {
    static SITE: Site = Site::new("put", file!(), line!());
    region::settle().map_err(cluster::refusal)?;
    let handle = poniard_pool::put(value, &SITE);
    if handle.is_kept() {
        poniard_pool::kept::await_room()?;
    }
    Ok(Chunk(handle))
}

impl<T: Data> DTask<T> {
    /// Waits for the task, and gives its result as a chunk.
    ///
    /// # Errors
    /// As for [`DTask::fetch`].
    pub fn chunk(&self) -> Result<Chunk<T>, TaskError> {
        self.0.erase().join()?;
        Ok(Chunk(self.0.clone()))
    }
}

impl<T: Data> Chunk<T> {
    /// Gives a copy of the value, which is read from disk first if it is there.
    ///
    /// # Errors
    /// When it cannot be read back, or there is no room for it.
    #[inline]
    pub fn fetch(&self) -> Result<T, TaskError>
    where
        T: Clone,
    {
        self.0.cloned()
    }

    /// Borrows the value, which is read from disk first if it is there, and stays in memory while it is borrowed.
    ///
    /// # Errors
    /// As for [`Chunk::fetch`].
    #[inline]
    pub fn fetch_ref(&self) -> Result<Ref<T>, TaskError> {
        self.0.clone().share().map(Ref)
    }

    /// Bytes of memory that the value holds outside of itself when it is there: exact for vectors of numbers, text and
    /// tiles, else about.
    pub fn bytes(&self) -> u64 {
        self.0.bytes().unwrap_or(0)
    }

    /// Whether the value is in memory, and not on disk alone.
    pub fn is_resident(&self) -> bool {
        self.0.is_resident()
    }

    /// Where it is: tasks that use it run there, or where it can be sent.
    pub fn scope(&self) -> Scope {
        Scope::worker(self.worker())
    }

    /// The worker process that holds it.
    pub fn worker(&self) -> WorkerId {
        poniard_pool::me()
    }

    /// Its id.
    pub fn id(&self) -> ChunkId {
        self.0.id().into()
    }
}

impl<T> Clone for Chunk<T> {
    fn clone(&self) -> Chunk<T> {
        Chunk(self.0.clone())
    }
}

/// Chunks are equal when they are the same chunk.
impl<T> PartialEq for Chunk<T> {
    fn eq(&self, other: &Chunk<T>) -> bool {
        self.0.id() == other.0.id()
    }
}

impl<T> Eq for Chunk<T> {}

impl<T> fmt::Debug for Chunk<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({})", ChunkId::from(self.0.id()))
    }
}

/// A chunk travels beside the bytes of the value that holds it, like a task's handle.
impl<T: Data> Serialize for Chunk<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        passenger::write_task(&self.0, serializer)
    }
}

impl<'de, T: Data> Deserialize<'de> for Chunk<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Chunk<T>, D::Error> {
        passenger::read_task(deserializer).map(Chunk)
    }
}
