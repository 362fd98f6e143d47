//! How much memory a value holds: exact for plain vectors and text, an estimate for everything else.
//!
//! Serde walks the value and this counts. Of a long sequence only the first elements are looked at, and the rest is taken
//! to be like them, so that a look costs little beside the work that made the value.

use crate::depth::Depth;
use crate::plain;
use serde::ser::{self, Serialize, Serializer};
use std::any::Any;
use std::fmt;

/// Elements of one sequence that are looked at.
const LOOKS: usize = 32;

/// Stack that a look may take. A value that nests deeper counts as far as that.
const STACK_BYTES: usize = 256 << 10;

/// Bytes that a value holds outside of itself, about.
pub(crate) fn heap_bytes<T: Serialize + 'static>(value: &T) -> usize {
    let any: &dyn Any = value;
    if let Some(bytes) = plain::len_bytes(value) {
        return bytes;
    }
    if let Some(text) = any.downcast_ref::<String>() {
        return text.len();
    }
    let mut bytes = 0;
    // A value that will not be walked to its end counts as far as it was.
    let _ = value.serialize(Scale { bytes: &mut bytes, depth: Depth::of(STACK_BYTES) });
    bytes.saturating_sub(size_of::<T>())
}

/// Counts what is written to it.
struct Scale<'a> {
    bytes: &'a mut usize,
    depth: Depth,
}

impl Scale<'_> {
    fn add(&mut self, bytes: usize) -> Result<(), Stop> {
        *self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    fn inner(&mut self) -> Scale<'_> {
        Scale { bytes: self.bytes, depth: self.depth }
    }

    /// Counts what is within a value.
    fn go_into<T: ?Sized + Serialize>(mut self, value: &T) -> Result<(), Stop> {
        if self.depth.is_exceeded() { Err(Stop) } else { value.serialize(self) }
    }
}

/// A sequence or a map of which only the first elements are counted.
struct Elements<'a> {
    bytes: &'a mut usize,
    /// Its own bytes, as far as they were counted.
    own: usize,
    seen: usize,
    depth: Depth,
}

impl Elements<'_> {
    fn count<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
        let counted = if self.seen < LOOKS {
            Scale { bytes: &mut self.own, depth: self.depth }.go_into(value)
        } else {
            Ok(())
        };
        self.seen += 1;
        if counted.is_err() {
            // What was seen of the elements counts all the same.
            *self.bytes = self.bytes.saturating_add(self.own);
        }
        counted
    }

    fn finish(self) -> Result<(), Stop> {
        let looked = self.seen.clamp(1, LOOKS);
        *self.bytes = self.bytes.saturating_add(self.own.saturating_mul(self.seen.max(1)) / looked);
        Ok(())
    }
}

/// The value does not want to be walked.
#[derive(Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not counted")
    }
}

impl std::error::Error for Stop {}

impl ser::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Stop {
        Stop
    }
}

macro_rules! sized {
    ($($method:ident $type:ty),*) => {
        $(fn $method(mut self, _: $type) -> Result<(), Stop> {
            self.add(size_of::<$type>())
        })*
    };
}

impl<'a> Serializer for Scale<'a> {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Scale<'a>;
    type SerializeTupleStruct = Scale<'a>;
    type SerializeTupleVariant = Scale<'a>;
    type SerializeMap = Elements<'a>;
    type SerializeStruct = Scale<'a>;
    type SerializeStructVariant = Scale<'a>;

    sized! {
        serialize_bool bool, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_u128 u128,
        serialize_f32 f32, serialize_f64 f64, serialize_char char
    }

    fn serialize_str(mut self, text: &str) -> Result<(), Stop> {
        self.add(size_of::<String>() + text.len())
    }
    fn serialize_bytes(mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.add(size_of::<Vec<u8>>() + bytes.len())
    }
    fn serialize_none(self) -> Result<(), Stop> {
        Ok(())
    }
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Stop> {
        self.go_into(value)
    }
    fn serialize_unit(self) -> Result<(), Stop> {
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Stop> {
        Ok(())
    }
    fn serialize_unit_variant(mut self, _: &'static str, _: u32, _: &'static str) -> Result<(), Stop> {
        self.add(1)
    }
    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<(), Stop> {
        self.go_into(value)
    }
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        mut self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        self.add(1)?;
        self.go_into(value)
    }
    fn serialize_seq(mut self, _: Option<usize>) -> Result<Elements<'a>, Stop> {
        self.add(size_of::<Vec<u8>>())?;
        Ok(Elements { bytes: self.bytes, own: 0, seen: 0, depth: self.depth })
    }
    fn serialize_tuple(self, _: usize) -> Result<Scale<'a>, Stop> {
        Ok(self)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Scale<'a>, Stop> {
        Ok(self)
    }
    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Scale<'a>, Stop> {
        self.add(1)?;
        Ok(self)
    }
    fn serialize_map(self, length: Option<usize>) -> Result<Elements<'a>, Stop> {
        self.serialize_seq(length)
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Scale<'a>, Stop> {
        Ok(self)
    }
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Scale<'a>, Stop> {
        self.serialize_tuple_variant(name, index, variant, length)
    }
    fn is_human_readable(&self) -> bool {
        false
    }
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Stop;
    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
        self.count(value)
    }
    fn end(self) -> Result<(), Stop> {
        self.finish()
    }
}

impl ser::SerializeMap for Elements<'_> {
    type Ok = ();
    type Error = Stop;
    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Stop> {
        self.count(key)
    }
    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
        self.count(value)
    }
    fn end(self) -> Result<(), Stop> {
        self.finish()
    }
}

macro_rules! parts {
    ($($of:ident $part:ident $(($key:ty))?),*) => {
        $(impl ser::$of for Scale<'_> {
            type Ok = ();
            type Error = Stop;
            fn $part<T: ?Sized + Serialize>(&mut self, $(_: $key,)? value: &T) -> Result<(), Stop> {
                self.inner().go_into(value)
            }
            fn end(self) -> Result<(), Stop> {
                Ok(())
            }
        })*
    };
}

parts! {
    SerializeTuple serialize_element, SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field,
    SerializeStruct serialize_field (&'static str), SerializeStructVariant serialize_field (&'static str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn plain_vectors_and_text_are_exact() {
        assert_eq!(heap_bytes(&vec![1.0_f64; 1000]), 8000);
        assert_eq!(heap_bytes(&"x".repeat(1000)), 1000);
        assert_eq!(heap_bytes(&7_u64), 0);
        assert_eq!(heap_bytes(&(7_u8, 1_i64)), 0);
    }

    #[test]
    fn what_is_nested_is_about_right() {
        let about = |bytes: usize, expected: usize| {
            assert!(bytes.abs_diff(expected) <= expected / 8, "{bytes} is not about {expected}");
        };
        about(heap_bytes(&vec!["x".repeat(100); 1000]), 124_000);
        about(heap_bytes(&vec![vec![1_u32; 500]; 100]), 202_400);
        about(heap_bytes(&(0..1000_u64).map(|key| (key, key)).collect::<HashMap<_, _>>()), 16_000);
        about(heap_bytes(&(vec![1_u8; 5000], Some(vec![0_i16; 3000]))), 11_000);
    }
}
