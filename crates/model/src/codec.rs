//! How a value is written to bytes and read back.
//!
//! Not all of a value becomes bytes. Things of this process (task handles) and buffers (the elements of a tile) travel
//! beside them: while a codec runs, [`carry`] and [`carry_bytes`] put such a thing into its luggage and give a number
//! to write in its place; [`carried`] and [`carried_bytes`] find it again on the other side. So a value of two large
//! tiles is written as a few bytes and two references.
//!
//! Things and buffers are numbered apart: a value with buffers alone can leave the process, be it over a socket or to
//! a file, and is put together again from its head and buffers with the same contents ([`Encoded::from_parts`]).

use crate::depth;
use crate::luggage::{Luggage, Run};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;
use std::sync::Arc;

pub use crate::luggage::{
    BESIDE_BYTES_MIN, SharedBytes, Thing, carried, carried_bytes, carry, carry_bytes, complain, is_carrying,
};
pub use crate::payload::{Payload, write_payload};

/// How values of one type are written and read.
pub struct Codec<T> {
    encode: fn(&T) -> Written,
    encode_shared: fn(&Arc<T>) -> Written,
    encode_lent: fn(&T, Lend<'_>) -> Written,
    decode: Decode<T>,
}

/// Makes a buffer of bytes that somebody keeps in place, without a copy.
pub type Lend<'a> = &'a dyn Fn(&[u8]) -> Arc<dyn SharedBytes>;

/// What a head gets at first: the descriptions of a few buffers fit, so that it need not grow.
const HEAD_BYTES: usize = 64;

type Written = Result<Vec<u8>, postcard::Error>;
/// Gives the value and the bytes after it.
type Decode<T> = for<'a> fn(&'a [u8]) -> Result<(T, &'a [u8]), postcard::Error>;

/// A value as bytes, with what could not become bytes beside them.
#[derive(Clone)]
pub struct Encoded {
    head: Vec<u8>,
    things: Vec<Thing>,
    buffers: Vec<Arc<dyn SharedBytes>>,
}

/// A value could not be written or read.
#[derive(Clone, Debug)]
pub struct CodecError {
    type_name: &'static str,
    verb: &'static str,
    why: Why,
}

#[derive(Clone, Debug)]
enum Why {
    Format(postcard::Error),
    /// What the value's own code said.
    Complaint(String),
    /// Bytes that follow the value.
    BytesLeft(usize),
    /// Buffers beside the value that it does not have.
    BuffersLeft(usize),
    /// Whatever it is, of the result of a task.
    Other(String),
}

impl<T: Serialize + DeserializeOwned + 'static> Codec<T> {
    /// The codec of a serde type.
    pub const SERDE: Codec<T> = Codec {
        encode: |value| head_of(value),
        encode_shared: |value| head_of(&**value),
        encode_lent: |value, _| head_of(value),
        decode: |head| depth::read(head),
    };
}

impl<T> Codec<T> {
    pub(crate) fn new(
        encode: fn(&T) -> Written,
        encode_shared: fn(&Arc<T>) -> Written,
        encode_lent: fn(&T, Lend<'_>) -> Written,
        decode: Decode<T>,
    ) -> Codec<T> {
        Codec { encode, encode_shared, encode_lent, decode }
    }

    /// Writes a value. Buffers that it shares (tiles, blobs) are shared further; a plain vector is copied.
    ///
    /// # Errors
    /// When the value's own `Serialize` fails.
    pub fn encode(&self, value: &T) -> Result<Encoded, CodecError> {
        packed::<T>(|| (self.encode)(value))
    }

    /// Writes a value that others hold too: a plain vector is shared, not copied.
    ///
    /// # Errors
    /// When the value's own `Serialize` fails.
    pub fn encode_shared(&self, value: &Arc<T>) -> Result<Encoded, CodecError> {
        packed::<T>(|| (self.encode_shared)(value))
    }

    /// Writes a value that stays as it is for as long as the bytes are used: of a plain vector, `lend` makes the buffer.
    ///
    /// # Errors
    /// When the value's own `Serialize` fails.
    pub fn encode_lending(&self, value: &T, lend: Lend<'_>) -> Result<Encoded, CodecError> {
        packed::<T>(|| (self.encode_lent)(value, lend))
    }

    /// Reads a value back.
    ///
    /// # Errors
    /// When the value's own `Deserialize` fails, and when bytes or buffers are left over: they are of another value,
    /// or damaged.
    pub fn decode(&self, encoded: &Encoded) -> Result<T, CodecError> {
        let luggage = Luggage {
            things: encoded.things.iter().cloned().map(Some).collect(),
            buffers: encoded.buffers.iter().cloned().map(Some).collect(),
            complaint: None,
        };
        let run = Run::start(luggage);
        let read = (self.decode)(&encoded.head);
        let luggage = run.end();
        let error = |why| CodecError::of::<T>("read", why);
        let (value, rest) = read.map_err(|source| error(Why::of(source, luggage.complaint)))?;
        let buffers_left = luggage.buffers.iter().flatten().count();
        match (rest.len(), buffers_left) {
            (0, 0) => Ok(value),
            (0, _) => Err(error(Why::BuffersLeft(buffers_left))),
            (bytes_left, _) => Err(error(Why::BytesLeft(bytes_left))),
        }
    }
}

/// What `write` writes and carries.
fn packed<T>(write: impl FnOnce() -> Written) -> Result<Encoded, CodecError> {
    let run = Run::start(Luggage::default());
    let head = write();
    let Luggage { things, buffers, complaint } = run.end();
    let head = head.map_err(|source| CodecError::of::<T>("write", Why::of(source, complaint)))?;
    let (things, buffers) = (things.into_iter().flatten().collect(), buffers.into_iter().flatten().collect());
    Ok(Encoded { head, things, buffers })
}

/// A value's own bytes.
pub(crate) fn head_of<T: Serialize + ?Sized>(value: &T) -> Written {
    depth::write(value, Vec::with_capacity(HEAD_BYTES))
}

impl Encoded {
    /// A value that was read from a file or a socket: its head, and its buffers in their order.
    pub fn from_parts(head: Vec<u8>, buffers: Vec<Arc<dyn SharedBytes>>) -> Encoded {
        Encoded { head, things: Vec::new(), buffers }
    }

    /// The bytes, without what travels beside them.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The buffers beside the bytes, in the order of their numbers.
    pub fn buffers(&self) -> &[Arc<dyn SharedBytes>] {
        &self.buffers
    }

    /// The things of this process beside them, in the order of their numbers.
    pub fn things(&self) -> &[Thing] {
        &self.things
    }

    /// The same with these things, where such numbers mean them.
    #[must_use]
    pub fn with_things(self, things: Vec<Thing>) -> Encoded {
        Encoded { things, ..self }
    }

    /// Whether head and buffers are all of it; else there are things beside it that exist only in this process.
    pub fn can_leave(&self) -> bool {
        self.things.is_empty()
    }

    /// Bytes of head and buffers together.
    pub fn total_bytes(&self) -> usize {
        self.head.len() + self.buffers.iter().map(|buffer| buffer.bytes().len()).sum::<usize>()
    }
}

impl Why {
    /// What the value's code said, rather than the format's error, which has no words for it.
    fn of(source: postcard::Error, complaint: Option<String>) -> Why {
        complaint.map_or(Why::Format(source), Why::Complaint)
    }
}

impl CodecError {
    fn of<T>(verb: &'static str, why: Why) -> CodecError {
        CodecError { type_name: std::any::type_name::<T>(), verb, why }
    }

    /// The result of the task `name` cannot be moved, for this reason.
    pub fn other(name: &'static str, reason: &str) -> CodecError {
        CodecError { type_name: name, verb: "move", why: Why::Other(reason.to_owned()) }
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = if matches!(self.why, Why::Other(_)) { "the result of" } else { "a value of type" };
        write!(f, "cannot {} {of} `{}`: ", self.verb, self.type_name)?;
        match &self.why {
            Why::Other(reason) => f.write_str(reason),
            Why::Format(source) => source.fmt(f),
            Why::Complaint(reason) => f.write_str(reason),
            Why::BytesLeft(bytes) => write!(f, "{bytes} bytes are left over"),
            Why::BuffersLeft(buffers) => write!(f, "{buffers} buffers are left over"),
        }
    }
}

impl std::error::Error for CodecError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.why {
            Why::Format(source) => Some(source),
            _ => None,
        }
    }
}

impl<T> fmt::Debug for Codec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Codec<{}>", std::any::type_name::<T>())
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, things, buffers) = (self.head.len(), self.things.len(), self.buffers.len());
        write!(f, "Encoded({head} bytes, {things} things and {buffers} buffers beside them)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        assert!(!codec.encode(&lamps).unwrap().can_leave());
    }

    /// Bytes that are written as a payload.
    #[derive(Clone, Debug, PartialEq)]
    struct Sack(Arc<Vec<u8>>);

    struct Shared(Arc<Vec<u8>>);

    impl SharedBytes for Shared {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
    }

    impl Serialize for Sack {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            write_payload(&self.0, || Arc::new(Shared(self.0.clone())), serializer)
        }
    }

    impl<'de> serde::Deserialize<'de> for Sack {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Sack, D::Error> {
            Ok(Sack(Arc::new(Payload::deserialize(deserializer)?.bytes().to_vec())))
        }
    }

    type Sacks = (Sack, u32, Sack);
    const SACKS: Codec<Sacks> = Codec::SERDE;

    fn sacks(first: usize, second: usize) -> Sacks {
        (Sack(Arc::new(vec![1; first])), 7, Sack(Arc::new(vec![2; second])))
    }

    /// As if it came from a file.
    fn again(encoded: &Encoded) -> Encoded {
        let copy = |buffer: &Arc<dyn SharedBytes>| -> Arc<dyn SharedBytes> {
            Arc::new(Shared(Arc::new(buffer.bytes().to_vec())))
        };
        Encoded::from_parts(encoded.head().to_vec(), encoded.buffers().iter().map(copy).collect())
    }

    #[test]
    fn many_bytes_go_beside_the_value_and_few_are_in_it() {
        let value = sacks(BESIDE_BYTES_MIN, BESIDE_BYTES_MIN - 1);
        let encoded = SACKS.encode(&value).unwrap();
        assert!(encoded.can_leave());
        assert_eq!(encoded.buffers().len(), 1);
        assert_eq!(encoded.buffers()[0].bytes().as_ptr(), value.0.0.as_ptr(), "no copy");
        assert!(encoded.head().len() < BESIDE_BYTES_MIN + 20);
        assert_eq!(encoded.total_bytes(), encoded.head().len() + BESIDE_BYTES_MIN);
        assert_eq!(SACKS.decode(&again(&encoded)).unwrap(), value);
    }

    #[test]
    fn buffers_that_are_missing_left_over_or_asked_for_twice_are_errors() {
        let encoded = SACKS.encode(&sacks(5000, 6000)).unwrap();
        assert_eq!(encoded.head(), [1, 0, 7, 1, 1]);
        let read = |head: &[u8], buffers: usize| {
            let buffers = (0..buffers).map(|at| encoded.buffers()[at % 2].clone()).collect();
            SACKS.decode(&Encoded::from_parts(head.to_vec(), buffers)).map_err(|error| error.to_string())
        };
        assert!(read(&[1, 0, 7, 1, 1], 2).is_ok());
        let missing = "there is no buffer 1 beside it, or it was read before";
        assert!(read(&[1, 0, 7, 1, 1], 1).unwrap_err().ends_with(missing));
        assert!(read(&[1, 1, 7, 1, 1], 2).unwrap_err().ends_with(missing));
        assert!(read(&[1, 0, 7, 1, 1], 3).unwrap_err().ends_with("1 buffers are left over"));
        assert!(read(&[1, 0, 7, 1, 1, 0], 2).unwrap_err().ends_with("1 bytes are left over"));
        assert!(read(&[1, 0, 7, 2, 1], 2).is_err());
    }

    #[test]
    fn a_run_that_panics_leaves_no_luggage() {
        struct Bomb;
        impl Serialize for Bomb {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                carry(Arc::new(1)).expect("a codec runs");
                panic!("in the user's code")
            }
        }
        impl<'de> serde::Deserialize<'de> for Bomb {
            fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Bomb, D::Error> {
                Ok(Bomb)
            }
        }
        assert!(std::panic::catch_unwind(|| Codec::<Bomb>::SERDE.encode(&Bomb)).is_err());
        assert!(!is_carrying());
    }

    proptest! {
        /// Whatever becomes of the head, reading ends with a value or an error.
        #[test]
        fn a_damaged_head_is_never_a_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in prop::option::of(any::<prop::sample::Index>()),
            sizes in (0usize..6000, 0usize..6000),
        ) {
            let encoded = SACKS.encode(&sacks(sizes.0, sizes.1)).unwrap();
            let mut head = encoded.head().to_vec();
            for (at, byte) in changes {
                let at = at.index(head.len());
                head[at] = byte;
            }
            if let Some(cut) = cut {
                head.truncate(cut.index(head.len()));
            }
            let read = SACKS.decode(&Encoded::from_parts(head, encoded.buffers().to_vec()));
            if let Ok((first, _, second)) = read {
                let len = first.0.len() + second.0.len();
                prop_assert!(len <= encoded.total_bytes(), "{len} bytes out of nothing");
            }
            prop_assert!(!is_carrying());
        }
    }
}
