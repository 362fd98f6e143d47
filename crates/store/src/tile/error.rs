//! Why there is no tile.

use crate::refusal::TakeError;
use crate::shape::ShapeError;
use std::fmt;

/// A tile could not be made, cut or changed.
#[derive(Debug)]
pub struct TileError(Kind);

#[derive(Debug)]
enum Kind {
    Shape(ShapeError),
    Memory(TakeError),
}

impl TileError {
    /// Whether there was no memory; else the shape, a range or an index was wrong.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self.0, Kind::Memory(_))
    }
}

impl From<ShapeError> for TileError {
    fn from(error: ShapeError) -> TileError {
        TileError(Kind::Shape(error))
    }
}

impl From<TakeError> for TileError {
    fn from(error: TakeError) -> TileError {
        TileError(Kind::Memory(error))
    }
}

impl fmt::Display for TileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Shape(error) => error.fmt(f),
            Kind::Memory(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TileError {
    /// The cause of what was refused; the error itself says what is wrong already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Kind::Shape(_) => None,
            Kind::Memory(error) => error.source(),
        }
    }
}
