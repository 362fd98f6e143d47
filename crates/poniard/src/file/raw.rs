//! Bytes as they are, mapped.

use crate::disk::error::{Reason, Unfit};
use crate::disk::format::Format;
use crate::disk::source::{Source, Target};
use poniard_store::{Blob, Buf, Elem, Order, Tile};
use std::io::Write;

/// The bytes of the file and nothing else, mapped rather than read: for a [`Blob`], or with [`Raw::tile`] for a [`Tile`].
///
/// Only what is touched comes into memory. While somebody has the contents, nobody may change the file in place or cut it
/// off: the first changes what is seen, and after the second the next touch ends the process. To write a file anew is safe.
///
/// ```
/// use poniard::{Order, Raw, Tile, prelude::*};
/// # let path = std::env::temp_dir().join(format!("poniard-{}.raw", std::process::id()));
/// std::fs::write(&path, [1_u8, 0, 2, 0, 3, 0, 4, 0]).unwrap();
/// let tile = File::<Tile<u16>>::open(&path)?.format(Raw.tile([2, 2], Order::Col));
/// assert_eq!(tile.fetch()?[[0, 1]], 3);
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), TaskError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

/// [`Raw`] elements of an array of this shape.
#[derive(Clone, Debug)]
pub struct RawTile {
    shape: Vec<usize>,
    order: Order,
}

impl Raw {
    /// The elements of a tile of this shape, in this order.
    pub fn tile(self, shape: impl Into<Vec<usize>>, order: Order) -> RawTile {
        RawTile { shape: shape.into(), order }
    }
}

fn map(source: &Source) -> Result<Buf, Reason> {
    Ok(Buf::map(source.file(), 0..source.len())?)
}

impl Format<Blob> for Raw {
    fn name(&self) -> &str {
        "raw"
    }

    fn read(&self, source: &Source) -> Result<Blob, Reason> {
        map(source).map(Blob::from)
    }

    fn write(&self, bytes: &Blob, target: &mut Target) -> Result<(), Reason> {
        Ok(target.write_all(bytes)?)
    }
}

impl<E: Elem> Format<Tile<E>> for RawTile {
    fn name(&self) -> &str {
        "raw elements"
    }

    fn read(&self, source: &Source) -> Result<Tile<E>, Reason> {
        Tile::from_buf(map(source)?, &self.shape, self.order).map_err(|error| Unfit::other(error.to_string()))
    }

    fn write(&self, tile: &Tile<E>, target: &mut Target) -> Result<(), Reason> {
        if tile.shape() != self.shape {
            let what = format!("the tile has shape {:?}, and the format {:?}", tile.shape(), self.shape);
            return Err(Unfit::other(what));
        }
        let tile = tile.clone().into_dense(self.order)?;
        Ok(target.write_all(tile.as_bytes().expect("it is dense"))?)
    }
}
