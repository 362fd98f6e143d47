//! How far the stack has grown since something began. Values that nest without end are walked by functions that call
//! themselves; these stop here, with an error, where the stack would end with the process.

use postcard::de_flavors::{Flavor as Input, Slice};
use postcard::ser_flavors::{ExtendFlavor, Flavor as Output};
use postcard::{Deserializer, Error, Result};
use serde::de::DeserializeOwned;
use serde::ser::Serialize;
use std::cell::Cell;
use std::hint::black_box;

/// The stack that may be used from here on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depth {
    /// Where it ends: stacks grow towards 0.
    end: usize,
    /// The lowest place so far.
    lowest: usize,
    /// How often it was a lower one.
    steps: u32,
}

/// For reading. What is written within [`WRITE_BYTES`] is read within this: a level takes less than five times the stack.
const READ_BYTES: usize = 1 << 20;
const WRITE_BYTES: usize = 192 << 10;
/// What is left of a thread's stack at the least.
const MARGIN_BYTES: usize = 64 << 10;
/// A value that nests comes lower with each look; one of a few levels that are large does not.
const STEPS_MIN: u32 = 16;

thread_local! {
    /// Where the stack of this thread ends, as far as that is known.
    static STACK_END: Cell<usize> = const { Cell::new(0) };
}

/// Tells where the stack of this thread ends: values that nest stop before that.
pub fn stack_ends_at(address: usize) {
    STACK_END.set(address);
}

/// An address in the frame of the caller.
#[inline(always)]
fn address() -> usize {
    let local = 0_u8;
    std::ptr::from_ref(black_box(&local)).addr()
}

impl Depth {
    pub(crate) fn of(bytes: usize) -> Depth {
        let here = address();
        let end = here.saturating_sub(bytes).max(STACK_END.get().saturating_add(MARGIN_BYTES));
        Depth { end, lowest: here, steps: 0 }
    }

    /// Whether the stack that may be used is used up by a value that nests.
    #[inline]
    pub(crate) fn is_exceeded(&mut self) -> bool {
        let here = address();
        if here < self.lowest {
            (self.lowest, self.steps) = (here, self.steps + 1);
        }
        here < self.end && self.steps >= STEPS_MIN
    }
}

/// Bytes between two looks: a value comes at most so many levels deeper meanwhile.
const LOOK_EVERY: u32 = 16;

#[cold]
fn too_deep(verb: &str) -> Error {
    crate::luggage::complain(format!("it is nested too deeply to be {verb}"));
    Error::SerdeSerCustom
}

/// Bytes on their way to or from a value, looked at for how deep the value has come: each level has a byte at least.
struct Shallow<F> {
    inner: F,
    depth: Depth,
    /// Bytes until the next look.
    left: u32,
}

impl<F> Shallow<F> {
    fn new(inner: F, stack_bytes: usize) -> Shallow<F> {
        Shallow { inner, depth: Depth::of(stack_bytes), left: LOOK_EVERY }
    }

    #[inline(always)]
    fn look(&mut self, verb: &str) -> Result<()> {
        self.left -= 1;
        if self.left > 0 {
            return Ok(());
        }
        self.left = LOOK_EVERY;
        if self.depth.is_exceeded() { Err(too_deep(verb)) } else { Ok(()) }
    }
}

impl<'de> Input<'de> for Shallow<Slice<'de>> {
    type Remainder = &'de [u8];
    type Source = &'de [u8];

    #[inline]
    fn pop(&mut self) -> Result<u8> {
        self.look("read")?;
        self.inner.pop()
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }

    #[inline]
    fn try_take_n(&mut self, count: usize) -> Result<&'de [u8]> {
        self.inner.try_take_n(count)
    }

    fn finalize(self) -> Result<&'de [u8]> {
        self.inner.finalize()
    }
}

impl Output for Shallow<ExtendFlavor<Vec<u8>>> {
    type Output = Vec<u8>;

    #[inline]
    fn try_push(&mut self, byte: u8) -> Result<()> {
        self.look("written")?;
        self.inner.try_push(byte)
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> Result<()> {
        self.look("written")?;
        self.inner.try_extend(bytes)
    }

    fn finalize(self) -> Result<Vec<u8>> {
        self.inner.finalize()
    }
}

/// Adds a value's bytes.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T, bytes: Vec<u8>) -> Result<Vec<u8>> {
    postcard::serialize_with_flavor(value, Shallow::new(ExtendFlavor::new(bytes), WRITE_BYTES))
}

/// Reads a value; gives the bytes after it, too.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8])> {
    let mut deserializer = Deserializer::from_flavor(Shallow::new(Slice::new(bytes), READ_BYTES));
    let value = T::deserialize(&mut deserializer)?;
    Ok((value, deserializer.finalize()?))
}

#[cfg(test)]
mod tests {
    use crate::value::Data;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum List {
        End,
        More(u64, Box<List>),
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Chain(Option<Box<Chain>>);

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Tree {
        name: String,
        twigs: Vec<Tree>,
    }

    /// Values of one more level than the one before.
    fn taller<T>(mut value: T, levels: usize, mut grow: impl FnMut(T) -> T) -> T {
        for _ in 0..levels {
            value = grow(value);
        }
        value
    }

    /// What can be written is read, what is deeper is refused in words, and both are measured.
    fn is_read_or_refused<T: Data + PartialEq>(tall: impl Fn(usize) -> T) {
        let codec = T::codec().unwrap();
        let (mut least, mut most) = (100, 20_000);
        assert!(codec.encode(&tall(least)).is_ok(), "{least} levels are a few");
        let error = codec.encode(&tall(most)).unwrap_err().to_string();
        assert!(error.ends_with("it is nested too deeply to be written"), "{error}");
        while most - least > 1 {
            let levels = least.midpoint(most);
            match codec.encode(&tall(levels)) {
                Ok(_) => least = levels,
                Err(_) => most = levels,
            }
        }
        let deepest = tall(least);
        assert!(codec.decode(&codec.encode(&deepest).unwrap()).unwrap() == deepest);
    }

    #[test]
    fn what_is_nested_deeply_is_refused_before_the_stack_ends() {
        is_read_or_refused(|levels| taller(List::End, levels, |list| List::More(1, Box::new(list))));
        is_read_or_refused(|levels| taller(Chain(None), levels, |chain| Chain(Some(Box::new(chain)))));
        let tree = || Tree { name: "a".into(), twigs: Vec::new() };
        is_read_or_refused(|levels| taller(tree(), levels, |twig| Tree { twigs: vec![twig], ..tree() }));
    }

    #[test]
    fn a_deep_value_counts_as_far_as_it_was_looked_at() {
        let list = |levels| taller(List::End, levels, |list| List::More(1, Box::new(list)));
        let (some, most) = (list(100).heap_bytes(), list(20_000).heap_bytes());
        assert!(some >= 100 * size_of::<u64>() - size_of::<List>());
        assert!((some..20_000 * size_of::<u64>()).contains(&most), "{most}");
    }

    #[test]
    fn bytes_that_nest_without_end_are_refused() {
        let codec = List::codec().unwrap();
        let endless: Vec<u8> = [1, 7].repeat(1_000_000);
        let error = codec.decode(&crate::codec::Encoded::from_parts(endless, Vec::new())).unwrap_err();
        assert!(error.to_string().ends_with("it is nested too deeply to be read"), "{error}");
    }
}
