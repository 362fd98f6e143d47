//! Values that must not be printed.

use std::fmt;

/// Something that prints as nothing, so that it is in no log and no panic.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Secret<T>(pub(crate) T);

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(..)")
    }
}
