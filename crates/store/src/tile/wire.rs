//! How a tile is written: what it is, and its elements, which travel beside it while a codec of ours runs.

use crate::elem::{DType, Elem};
use crate::shape::{DIMS_MAX, Order};
use crate::tile::Tile;
use crate::travel::{Elements, buf_of, refused};
use poniard_model::codec::{Payload, complain};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

#[derive(Serialize)]
#[serde(rename = "Tile")]
struct Written<'a> {
    dtype: DType,
    order: Order,
    shape: &'a [usize],
    elements: Elements<'a>,
}

#[derive(Deserialize)]
#[serde(rename = "Tile")]
struct Read {
    dtype: DType,
    order: Order,
    shape: Dims,
    elements: Payload,
}

impl<T: Elem> Serialize for Tile<T> {
    /// # Errors
    /// Those of the format, and when elements that are not side by side find no memory for a copy that is.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(order) = self.order() else {
            let dense = self.copied(Order::Col);
            return dense
                .map_err(|error| S::Error::custom(complain(error.to_string())))?
                .serialize(serializer);
        };
        let reach = self.layout.reach();
        // A part is sent without the rest of its buffer.
        let bytes = reach.start * size_of::<T>()..reach.end * size_of::<T>();
        let elements = Elements(&self.buf, bytes);
        let written = Written { dtype: T::DTYPE, order, shape: self.shape(), elements };
        written.serialize(serializer)
    }
}

impl<'de, T: Elem> Deserialize<'de> for Tile<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tile<T>, D::Error> {
        let Read { dtype, order, shape, elements } = Read::deserialize(deserializer)?;
        if dtype != T::DTYPE {
            let wanted = T::DTYPE;
            return Err(D::Error::custom(complain(format!(
                "a tile of `{dtype}` was written, not of `{wanted}`"
            ))));
        }
        Tile::from_buf(buf_of(elements)?, shape.as_slice(), order).map_err(refused)
    }
}

/// A shape that was read: as many numbers as a tile may have dimensions.
struct Dims {
    len: usize,
    dims: [usize; DIMS_MAX],
}

impl Dims {
    fn as_slice(&self) -> &[usize] {
        &self.dims[..self.len]
    }
}

impl<'de> Deserialize<'de> for Dims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Dims, D::Error> {
        deserializer.deserialize_seq(DimsVisitor)
    }
}

struct DimsVisitor;

impl<'de> Visitor<'de> for DimsVisitor {
    type Value = Dims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a shape of at most {DIMS_MAX} dimensions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Dims, A::Error> {
        let mut read = Dims { len: 0, dims: [0; DIMS_MAX] };
        while let Some(dim) = list.next_element()? {
            let place = read.dims.get_mut(read.len);
            *place.ok_or_else(|| refused(format!("a shape has at most {DIMS_MAX} dimensions")))? = dim;
            read.len += 1;
        }
        Ok(read)
    }
}
