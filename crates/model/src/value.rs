//! What may be an argument or a result of a task.

use crate::codec::Codec;
use crate::{footprint, plain};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// A value that a task may take or return: every serde type, or [`Pinned`].
///
/// There is nothing to implement by hand: derive `serde::Serialize` and `serde::Deserialize`, or
/// wrap what cannot move in `Pinned`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a task's argument or result, because it cannot move to another process or thread",
    label = "neither serialisable, nor a `Pinned` of what threads may share",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it, or wrap it in `Pinned<_>` to keep it where it was made",
    note = "what is in `Pinned<_>` must be `Send` and `Sync`: `Arc` is where `Rc` is not, and `Mutex<_>` makes the rest so"
)]
pub trait Data: Send + Sync + 'static {
    /// How the value is copied or moved; `None` when it must stay where it is.
    fn codec() -> Option<Codec<Self>>
    where
        Self: Sized;

    /// Bytes of memory that the value holds outside of itself, about; 0 for what must stay where it is.
    fn heap_bytes(&self) -> usize;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Data for T {
    fn codec() -> Option<Codec<T>> {
        // Serde would take the numbers of a plain vector one by one.
        plain::codec().or(Some(Codec::SERDE))
    }

    fn heap_bytes(&self) -> usize {
        footprint::heap_bytes(self)
    }
}

/// A value that stays in the process that made it: an open file, a handle of a C library.
///
/// It derefs to the value, so functions that take `&T` take it as it is. Tasks that use it run
/// where it lives.
///
/// ```
/// use poniard_model::Pinned;
/// let file = Pinned(std::cell::Cell::new(1));
/// file.set(2);
/// assert_eq!(file.0.get(), 2);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pinned<T>(pub T);

impl<T: Send + Sync + 'static> Data for Pinned<T> {
    fn codec() -> Option<Codec<Pinned<T>>> {
        None
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

impl<T> Deref for Pinned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Pinned<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Pinned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pinned").field(&self.0).finish()
    }
}
