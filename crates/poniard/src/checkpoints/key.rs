//! What a call is known by in the next run.

use poniard_model::Site;
use poniard_model::codec::Encoded;
use poniard_pool::{AnyHandle, Part};
use std::fmt;

/// What a result is known by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

/// What an argument is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartKey {
    Known(Key),
    /// The result of a task, by how it is made.
    Made(Key),
    /// The result of a task, by its bytes, when they are there.
    Content,
}

impl PartKey {
    /// What is known without the bytes of results.
    pub(crate) fn ahead(self) -> Option<Key> {
        match self {
            PartKey::Known(key) | PartKey::Made(key) => Some(key),
            PartKey::Content => None,
        }
    }
}

impl Key {
    /// Of a value.
    pub(crate) fn of_value(value: &Encoded) -> Key {
        let mut hash = hasher("value");
        add(&mut hash, value.head());
        value.buffers().iter().for_each(|buffer| add(&mut hash, buffer.bytes()));
        Key(*hash.finalize().as_bytes())
    }
}

/// Of a call: the name of the checkpoint, the function, the type of the result, and what each argument is known by. Lines of
/// the source do not count, since they change with every edit.
pub(crate) fn of_call(name: &str, site: &Site, result: &str, parts: impl IntoIterator<Item = Key>) -> Key {
    let mut hash = hasher("call");
    [name, site.file, site.name, result].iter().for_each(|word| add(&mut hash, word.as_bytes()));
    parts.into_iter().for_each(|Key(part)| add(&mut hash, &part));
    Key(*hash.finalize().as_bytes())
}

/// What each argument is known by; `None` when one cannot be known again. `lineage` knows how results are made.
pub(crate) fn part_keys(
    tell: impl FnOnce(&mut dyn FnMut(Part)),
    lineage: &mut dyn FnMut(&AnyHandle) -> Option<Key>,
) -> Option<Vec<PartKey>> {
    let mut keys = Some(Vec::new());
    tell(&mut |part| {
        let key = match part {
            Part::Value(value) => Some(PartKey::Known(Key::of_value(&value))),
            Part::Result(task) => Some(lineage(&task).map_or(PartKey::Content, PartKey::Made)),
            Part::Code(name) => {
                let mut hash = hasher("code");
                add(&mut hash, name.as_bytes());
                Some(PartKey::Known(Key(*hash.finalize().as_bytes())))
            }
            Part::Opaque => None,
        };
        match (&mut keys, key) {
            (Some(keys), Some(key)) => keys.push(key),
            _ => keys = None,
        }
    });
    keys
}

fn hasher(kind: &str) -> blake3::Hasher {
    let mut hash = blake3::Hasher::new();
    add(&mut hash, b"poniard checkpoint 1");
    add(&mut hash, kind.as_bytes());
    hash
}

/// With its length, so that no two lists of words are one.
fn add(hash: &mut blake3::Hasher, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poniard_model::Data;

    static SITE: Site = Site::new("simulate", "src/main.rs", 7);
    static MOVED: Site = Site::new("simulate", "src/main.rs", 90);

    fn value<T: Data>(value: T) -> Key {
        Key::of_value(&T::codec().unwrap().encode(&value).unwrap())
    }

    #[test]
    fn a_call_is_known_by_all_that_it_is_but_its_line() {
        let key = |name, result, parts: &[Key]| of_call(name, &SITE, result, parts.iter().copied());
        let one = key("sim", "f64", &[value(1), value(2)]);
        assert_eq!(of_call("sim", &MOVED, "f64", [value(1), value(2)]), one);
        assert_ne!(key("other", "f64", &[value(1), value(2)]), one);
        assert_ne!(key("sim", "f32", &[value(1), value(2)]), one);
        assert_ne!(key("sim", "f64", &[value(2), value(1)]), one);
        assert_ne!(key("sim", "f64", &[value(1)]), one);
        assert_ne!(key("si", "mf64", &[value(1), value(2)]), one);
    }

    #[test]
    fn a_value_is_known_by_its_bytes_and_buffers() {
        assert_eq!(value(vec![1.0; 5000]), value(vec![1.0; 5000]));
        assert_ne!(value(vec![1.0; 5000]), value(vec![1.0; 5001]));
        assert_ne!(value(vec![0_u8; 9000]), value(vec![1_u8; 9000]));
        assert_eq!(value(7_i64).to_string().len(), 64);
    }

    #[test]
    fn one_part_that_is_not_known_again_is_enough() {
        let tell = |visit: &mut dyn FnMut(Part)| {
            visit(Part::Code("f"));
            visit(Part::Opaque);
            visit(Part::Code("g"));
        };
        assert_eq!(part_keys(tell, &mut |_| None), None);
    }
}
