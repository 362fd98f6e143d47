//! How a value is written to bytes and read back.
//!
//! Values that refer to things of this process (task handles) travel beside the bytes: while a codec
//! runs, [`carry`] puts such a thing into its luggage and gives a number to write in its place;
//! [`carried`] finds it again on the other side.

use serde::{Serialize, de::DeserializeOwned};
use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// How values of one type are written and read.
pub struct Codec<T> {
    encode: fn(&T) -> Result<Vec<u8>, postcard::Error>,
    decode: fn(&[u8]) -> Result<T, postcard::Error>,
}

/// A value as bytes, with what could not become bytes beside them.
#[derive(Clone)]
pub struct Encoded {
    bytes: Vec<u8>,
    luggage: Vec<Passenger>,
}

/// A thing of this process that travels beside the bytes.
type Passenger = Arc<dyn Any + Send + Sync>;

/// A value could not be written or read.
#[derive(Clone, Debug)]
pub struct CodecError {
    type_name: &'static str,
    verb: &'static str,
    source: postcard::Error,
}

impl<T: Serialize + DeserializeOwned + 'static> Codec<T> {
    /// The codec of a serde type.
    pub const SERDE: Codec<T> =
        Codec { encode: |value| postcard::to_allocvec(value), decode: |bytes| postcard::from_bytes(bytes) };
}

impl<T> Codec<T> {
    /// Writes a value.
    ///
    /// # Errors
    /// When the value's own `Serialize` fails.
    pub fn encode(&self, value: &T) -> Result<Encoded, CodecError> {
        let carrying = Carrying::begin(Vec::new());
        let bytes = (self.encode)(value);
        let luggage = carrying.end();
        let bytes = bytes.map_err(|source| CodecError::of::<T>("write", source))?;
        Ok(Encoded { bytes, luggage })
    }

    /// Reads a value back.
    ///
    /// # Errors
    /// When the value's own `Deserialize` fails.
    pub fn decode(&self, encoded: &Encoded) -> Result<T, CodecError> {
        let carrying = Carrying::begin(encoded.luggage.clone());
        let value = (self.decode)(&encoded.bytes);
        carrying.end();
        value.map_err(|source| CodecError::of::<T>("read", source))
    }
}

impl Encoded {
    /// The bytes, without what travels beside them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

thread_local! {
    /// What the codec that runs on this thread carries; `None` while none runs.
    static LUGGAGE: RefCell<Option<Vec<Passenger>>> = const { RefCell::new(None) };
}

/// While this lives a codec runs on this thread. Dropped, by a panic of the codec too, it gives the luggage back to the one
/// around it.
struct Carrying {
    outer: Option<Vec<Passenger>>,
}

impl Carrying {
    fn begin(luggage: Vec<Passenger>) -> Carrying {
        Carrying { outer: LUGGAGE.replace(Some(luggage)) }
    }

    /// What the codec has carried.
    fn end(self) -> Vec<Passenger> {
        LUGGAGE.take().unwrap_or_default()
    }
}

impl Drop for Carrying {
    fn drop(&mut self) {
        // What a codec leaves is dropped after the cell is free again: it may be the user's, and run a codec itself.
        let left = LUGGAGE.replace(self.outer.take());
        drop(left);
    }
}

/// Puts a thing beside the bytes that are being written; `None` when no codec runs.
pub fn carry(passenger: Passenger) -> Option<u32> {
    LUGGAGE.with_borrow_mut(|luggage| {
        let luggage = luggage.as_mut()?;
        luggage.push(passenger);
        u32::try_from(luggage.len() - 1).ok()
    })
}

/// The thing that [`carry`] gave this number.
pub fn carried(number: u32) -> Option<Passenger> {
    LUGGAGE.with_borrow(|luggage| luggage.as_ref()?.get(number as usize).cloned())
}

impl CodecError {
    fn of<T>(verb: &'static str, source: postcard::Error) -> CodecError {
        CodecError { type_name: std::any::type_name::<T>(), verb, source }
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} a value of type `{}`: {}", self.verb, self.type_name, self.source)
    }
}

impl std::error::Error for CodecError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl<T> fmt::Debug for Codec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Codec<{}>", std::any::type_name::<T>())
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded({} bytes, {} beside them)", self.bytes.len(), self.luggage.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    proptest! {
        #[test]
        fn what_is_written_is_read(value: (Vec<f64>, String, Option<(u8, i64)>)) {
            let codec = Codec::<(Vec<f64>, String, Option<(u8, i64)>)>::SERDE;
            let back = codec.decode(&codec.encode(&value).unwrap()).unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{value:?}"));
        }
    }

    #[test]
    fn a_thing_of_this_process_travels_beside_the_bytes() {
        struct Lamp(Arc<str>);
        impl Serialize for Lamp {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                carry(Arc::new(self.0.clone())).expect("a codec runs").serialize(serializer)
            }
        }
        impl<'de> serde::Deserialize<'de> for Lamp {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Lamp, D::Error> {
                let passenger = carried(u32::deserialize(deserializer)?).expect("was carried");
                Ok(Lamp(passenger.downcast_ref::<Arc<str>>().expect("a lamp's word").clone()))
            }
        }
        let lamps = vec![Lamp("red".into()), Lamp("blue".into())];
        let codec = Codec::<Vec<Lamp>>::SERDE;
        let back = codec.decode(&codec.encode(&lamps).unwrap()).unwrap();
        assert!(Arc::ptr_eq(&back[1].0, &lamps[1].0));
        assert_eq!(carry(Arc::new(1)), None, "no codec runs here");
    }

    #[test]
    fn a_codec_that_panics_leaves_no_luggage_behind() {
        /// Fails to be written and to be read, after it has carried something.
        struct Broken;
        impl Serialize for Broken {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                carry(Arc::new(1));
                panic!("cannot be written")
            }
        }
        impl<'de> serde::Deserialize<'de> for Broken {
            fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Broken, D::Error> {
                panic!("cannot be read")
            }
        }
        /// Writes a broken value with a codec of its own, and then carries something itself.
        struct Around;
        impl Serialize for Around {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                carry(Arc::new(0)).expect("a codec runs");
                assert!(catch_unwind(|| Codec::<Broken>::SERDE.encode(&Broken)).is_err());
                carry(Arc::new(2)).expect("a codec runs").serialize(serializer)
            }
        }
        impl<'de> serde::Deserialize<'de> for Around {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Around, D::Error> {
                let written = Encoded { bytes: Vec::new(), luggage: vec![Arc::new(3)] };
                assert!(catch_unwind(AssertUnwindSafe(|| Codec::<Broken>::SERDE.decode(&written))).is_err());
                let passenger = carried(u32::deserialize(deserializer)?).expect("was carried");
                assert_eq!(passenger.downcast_ref(), Some(&2));
                Ok(Around)
            }
        }
        let written = Codec::<Around>::SERDE.encode(&Around).unwrap();
        assert_eq!(written.luggage.len(), 2, "the broken value's own is not there");
        Codec::<Around>::SERDE.decode(&written).unwrap();
        assert_eq!(carry(Arc::new(1)), None, "no codec runs here");
        assert!(carried(0).is_none());
    }
}
