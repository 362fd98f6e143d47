//! What refers to the result of a task.

use crate::chunk::Chunk;
use crate::task::DTask;
use poniard_model::Data;
use poniard_pool::Handle;

/// What refers to the result of a task: [`DTask`] and [`Chunk`].
pub trait Refers {
    /// The type of the result.
    type Value: Data;
    /// The engine's handle.
    fn handle(&self) -> &Handle<Self::Value>;
    /// The same as a chunk.
    fn as_chunk(&self) -> Chunk<Self::Value> {
        Chunk(self.handle().clone())
    }
}

impl<T: Data> Refers for DTask<T> {
    type Value = T;
    #[inline]
    fn handle(&self) -> &Handle<T> {
        &self.0
    }
}

impl<T: Data> Refers for Chunk<T> {
    type Value = T;
    #[inline]
    fn handle(&self) -> &Handle<T> {
        &self.0
    }
}
