//! Vectors of plain numbers: serde takes their elements one by one, this takes them as one piece of memory.

use crate::codec::{Codec, head_of};
use crate::luggage::{SharedBytes, complain};
use crate::payload::{Payload, write_payload};
use bytemuck::Pod;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::any::{Any, TypeId, type_name};
use std::sync::Arc;

/// The codec of `T` where that is a vector of plain numbers.
pub(crate) fn codec<T: 'static>() -> Option<Codec<T>> {
    macro_rules! vector_of {
        ($($number:ty),*) => {
            $(if TypeId::of::<T>() == TypeId::of::<Vec<$number>>() {
                return Some(of_vector::<T, $number>());
            })*
        };
    }
    vector_of!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64, bool);
    None
}

/// The bytes of `value`'s elements where it is a vector of plain numbers.
pub(crate) fn len_bytes<T: 'static>(value: &T) -> Option<usize> {
    macro_rules! vector_of {
        ($($number:ty),*) => {
            $(if TypeId::of::<T>() == TypeId::of::<Vec<$number>>() {
                return Some(size_of_val(same::<T, Vec<$number>>(value).as_slice()));
            })*
        };
    }
    vector_of!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64, bool);
    None
}

/// A type whose every value is its bytes.
trait Plain: Copy + Send + Sync + 'static {
    fn bytes(numbers: &[Self]) -> &[u8];
    /// Copies; `None` when these are not the bytes of whole values.
    fn from_bytes(bytes: &[u8]) -> Option<Vec<Self>>;
}

macro_rules! every_pattern_is_a_value {
    ($($number:ty),*) => {
        $(impl Plain for $number {
            fn bytes(numbers: &[$number]) -> &[u8] {
                bytemuck::cast_slice(numbers)
            }
            fn from_bytes(bytes: &[u8]) -> Option<Vec<$number>> {
                copied(bytes)
            }
        })*
    };
}

every_pattern_is_a_value!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64);

impl Plain for bool {
    fn bytes(flags: &[bool]) -> &[u8] {
        bytemuck::cast_slice(flags)
    }
    fn from_bytes(bytes: &[u8]) -> Option<Vec<bool>> {
        Some(bytemuck::checked::try_cast_slice(bytes).ok()?.to_vec())
    }
}

/// One copy into fresh memory, which the allocator hands out as zeros at no cost.
fn copied<E: Pod>(bytes: &[u8]) -> Option<Vec<E>> {
    if !bytes.len().is_multiple_of(size_of::<E>()) {
        return None;
    }
    let mut numbers = vec![E::zeroed(); bytes.len() / size_of::<E>()];
    bytemuck::cast_slice_mut(&mut numbers).copy_from_slice(bytes);
    Some(numbers)
}

/// `T` is `Vec<E>`; the compiler does not know, so each use asks.
fn of_vector<T: 'static, E: Plain>() -> Codec<T> {
    Codec::new(
        |value| {
            let numbers = same::<T, Vec<E>>(value);
            let share = || -> Arc<dyn SharedBytes> { Arc::new(Vector(numbers.clone())) };
            head_of(&Writing(E::bytes(numbers), share))
        },
        |value| {
            let numbers = same::<Arc<T>, Arc<Vec<E>>>(value);
            let share = || -> Arc<dyn SharedBytes> { Arc::new(SharedVector(numbers.clone())) };
            head_of(&Writing(E::bytes(numbers), share))
        },
        |value, lend| {
            let bytes = E::bytes(same::<T, Vec<E>>(value));
            head_of(&Writing(bytes, || lend(bytes)))
        },
        |head| {
            let (Reading(numbers), rest) = postcard::take_from_bytes::<Reading<E>>(head)?;
            let mut place: Option<T> = None;
            let any: &mut dyn Any = &mut place;
            *any.downcast_mut::<Option<Vec<E>>>().expect("the types were compared") = Some(numbers);
            Ok((place.expect("just filled"), rest))
        },
    )
}

fn same<From: 'static, To: 'static>(value: &From) -> &To {
    let any: &dyn Any = value;
    any.downcast_ref().expect("the types were compared")
}

/// A copy of a vector, beside the bytes.
struct Vector<E>(Vec<E>);

impl<E: Plain> SharedBytes for Vector<E> {
    fn bytes(&self) -> &[u8] {
        E::bytes(&self.0)
    }
}

/// Somebody's vector, beside the bytes, without a copy.
struct SharedVector<E>(Arc<Vec<E>>);

impl<E: Plain> SharedBytes for SharedVector<E> {
    fn bytes(&self) -> &[u8] {
        E::bytes(&self.0)
    }
}

struct Writing<'a, F>(&'a [u8], F);

impl<F: Fn() -> Arc<dyn SharedBytes>> Serialize for Writing<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_payload(self.0, &self.1, serializer)
    }
}

struct Reading<E>(Vec<E>);

impl<'de, E: Plain> Deserialize<'de> for Reading<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reading<E>, D::Error> {
        let payload = Payload::deserialize(deserializer)?;
        let bytes = payload.bytes();
        E::from_bytes(bytes).map(Reading).ok_or_else(|| {
            let (len, name) = (bytes.len(), type_name::<E>());
            D::Error::custom(complain(format!("{len} bytes are not a whole number of valid `{name}`")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{BESIDE_BYTES_MIN, Encoded};
    use crate::value::Data;
    use proptest::prelude::*;

    fn comes_back<E: Plain + PartialEq + std::fmt::Debug>(numbers: Vec<E>)
    where
        Vec<E>: Data,
    {
        let codec = <Vec<E>>::codec().unwrap();
        let shared = Arc::new(numbers);
        for encoded in [codec.encode(&shared).unwrap(), codec.encode_shared(&shared).unwrap()] {
            let is_beside = size_of_val(shared.as_slice()) >= BESIDE_BYTES_MIN;
            assert_eq!(encoded.buffers().len(), usize::from(is_beside));
            let parts = Encoded::from_parts(encoded.head().to_vec(), encoded.buffers().to_vec());
            assert_eq!(E::bytes(&codec.decode(&parts).unwrap()), E::bytes(&shared));
        }
    }

    proptest! {
        #[test]
        fn every_plain_vector_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
            macro_rules! each {
                ($($number:ty),*) => {
                    $(comes_back::<$number>(copied(&bytes[..bytes.len() / 16 * 16]).unwrap());)*
                };
            }
            each!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64);
            comes_back::<bool>(bytes.iter().map(|byte| byte % 2 == 1).collect());
        }

        #[test]
        fn a_damaged_vector_is_an_error_or_other_numbers(mut head: Vec<u8>, buffers in prop::collection::vec(0usize..5000, 0..3)) {
            head.truncate(64);
            let buffer = |len| -> Arc<dyn SharedBytes> { Arc::new(Vector(vec![3_u8; len])) };
            let encoded = Encoded::from_parts(head, buffers.into_iter().map(buffer).collect());
            if let Ok(numbers) = <Vec<f64>>::codec().unwrap().decode(&encoded) {
                prop_assert!(size_of_val(numbers.as_slice()) <= encoded.total_bytes());
            }
            let _ = <Vec<bool>>::codec().unwrap().decode(&encoded);
        }
    }

    #[test]
    fn a_shared_vector_is_not_copied() {
        let numbers = Arc::new(vec![1.0_f64; 1000]);
        let encoded = <Vec<f64>>::codec().unwrap().encode_shared(&numbers).unwrap();
        assert_eq!(encoded.buffers()[0].bytes().as_ptr(), numbers.as_ptr().cast());
    }

    #[test]
    fn bytes_that_are_no_such_numbers_are_refused() {
        let of = |bytes: Vec<u8>| Encoded::from_parts(vec![1, 0], vec![Arc::new(Vector(bytes))]);
        let error = <Vec<f64>>::codec().unwrap().decode(&of(vec![0; 4097])).unwrap_err();
        let text = "cannot read a value of type `alloc::vec::Vec<f64>`: 4097 bytes are not a whole number of valid `f64`";
        assert_eq!(error.to_string(), text);
        assert!(<Vec<bool>>::codec().unwrap().decode(&of(vec![2; 4096])).is_err());
        assert_eq!(<Vec<bool>>::codec().unwrap().decode(&of(vec![1; 4096])).unwrap(), [true; 4096]);
    }
}
