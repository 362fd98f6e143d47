//! A map by numbers that are given out in order, such as those of tasks.
//!
//! What is known of a task is looked up a dozen times between its spawn and its end, and the tasks that are next to it just before and
//! just after. So entries lie in pages of 64 neighbours: a tree finds the page, which is almost always the one that was used last, and
//! the rest is an index. An ordinary map takes three times as long with 200,000 tasks on their way.

use crate::ids::{TaskId, WorkerId};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Index;

/// Entries of a page; its mask of those that are there is one word.
const PAGE: u64 = u64::BITS as u64;

/// A map by numbers that are given out in order. It may have gaps; a page of 64 is kept while one of its numbers is there.
pub struct Numbered<K, V> {
    pages: BTreeMap<u64, Box<Page<V>>>,
    /// The last page that became empty, for the next one that is needed.
    spare: Option<Box<Page<V>>>,
    len: usize,
    keys: PhantomData<fn(K) -> K>,
}

struct Page<V> {
    /// A bit for each entry that is there.
    there: u64,
    entries: [Option<V>; PAGE as usize],
}

impl<K: Copy + Into<u64> + From<u64>, V> Numbered<K, V> {
    /// An empty map.
    pub const fn new() -> Numbered<K, V> {
        Numbered { pages: BTreeMap::new(), spare: None, len: 0, keys: PhantomData }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether there is an entry of this number.
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The entry of this number.
    pub fn get(&self, key: &K) -> Option<&V> {
        let (page, place) = parts(*key);
        self.pages.get(&page)?.entries[place].as_ref()
    }

    /// The entry of this number, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let (page, place) = parts(*key);
        self.pages.get_mut(&page)?.entries[place].as_mut()
    }

    /// Sets the entry of this number; gives the one that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (page, place) = parts(key);
        let spare = &mut self.spare;
        let page = self.pages.entry(page).or_insert_with(|| spare.take().unwrap_or_else(Page::empty));
        page.there |= 1 << place;
        let before = page.entries[place].replace(value);
        self.len += usize::from(before.is_none());
        before
    }

    /// Takes the entry of this number out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (number, place) = parts(*key);
        let page = self.pages.get_mut(&number)?;
        let value = page.entries[place].take()?;
        page.there &= !(1 << place);
        if page.there == 0 {
            self.spare = self.pages.remove(&number);
        }
        self.len -= 1;
        Some(value)
    }

    /// All entries, by their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.pages.iter().flat_map(|(number, page)| {
            let number = *number;
            set_bits(page.there).map(move |place| (key(number, place), page.at(place)))
        })
    }

    /// All entries before this number, the nearest first.
    pub fn before(&self, end: K) -> impl Iterator<Item = (K, &V)> {
        let (last, place) = parts(end);
        self.pages.range(..=last).rev().flat_map(move |(number, page)| {
            let number = *number;
            let there = if number == last { page.there & ((1 << place) - 1) } else { page.there };
            set_bits_down(there).map(move |place| (key(number, place), page.at(place)))
        })
    }

    /// What is at the numbers, in their order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// What is at the numbers, in their order, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.pages.values_mut().flat_map(|page| page.entries.iter_mut().flatten())
    }

    /// The numbers, in order.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.iter().map(|(key, _)| key)
    }

    /// Takes everything out, in the order of the numbers.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.pages.into_values().flat_map(|page| page.entries.into_iter().flatten())
    }
}

impl<V> Page<V> {
    fn empty() -> Box<Page<V>> {
        Box::new(Page { there: 0, entries: std::array::from_fn(|_| None) })
    }

    fn at(&self, place: u32) -> &V {
        self.entries[place as usize].as_ref().expect("its bit is set")
    }
}

/// The page of a number, and its place there.
fn parts(key: impl Into<u64>) -> (u64, usize) {
    let number = key.into();
    (number / PAGE, (number % PAGE) as usize)
}

fn key<K: From<u64>>(page: u64, place: u32) -> K {
    K::from(page * PAGE + u64::from(place))
}

fn set_bits(mut bits: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| bits.trailing_zeros())?;
        bits &= bits - 1;
        Some(place)
    })
}

fn set_bits_down(mut bits: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| PAGE as u32 - 1 - bits.leading_zeros())?;
        bits &= !(1 << place);
        Some(place)
    })
}

impl<K: Copy + Into<u64> + From<u64>, V> Default for Numbered<K, V> {
    fn default() -> Numbered<K, V> {
        Numbered::new()
    }
}

impl<K: Copy + Into<u64> + From<u64> + fmt::Debug, V> Index<&K> for Numbered<K, V> {
    type Output = V;
    fn index(&self, key: &K) -> &V {
        self.get(key).unwrap_or_else(|| panic!("there is no {key:?}"))
    }
}

impl<K: Copy + Into<u64> + From<u64> + fmt::Debug, V: fmt::Debug> fmt::Debug for Numbered<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A map by a task's owner and its number there.
#[derive(Debug)]
pub struct ByOwner<V>(BTreeMap<WorkerId, Numbered<TaskId, V>>);

impl<V> ByOwner<V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.values().map(Numbered::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(Numbered::is_empty)
    }

    /// The entry of this task.
    pub fn get(&self, (owner, task): (WorkerId, TaskId)) -> Option<&V> {
        self.0.get(&owner)?.get(&task)
    }

    /// Sets the entry of this task; gives the one that was there.
    pub fn insert(&mut self, (owner, task): (WorkerId, TaskId), value: V) -> Option<V> {
        self.0.entry(owner).or_default().insert(task, value)
    }

    /// Takes the entry of this task out.
    pub fn remove(&mut self, (owner, task): (WorkerId, TaskId)) -> Option<V> {
        // Who has no task here now has one soon, most often: the place for it stays until the owner goes.
        self.0.get_mut(&owner)?.remove(&task)
    }

    /// Takes out all entries of an owner.
    pub fn remove_all_of(&mut self, owner: WorkerId) -> Numbered<TaskId, V> {
        self.0.remove(&owner).unwrap_or_default()
    }

    /// Those who own one of the tasks.
    pub fn owners(&self) -> impl Iterator<Item = WorkerId> {
        self.0.iter().filter(|(_, tasks)| !tasks.is_empty()).map(|(owner, _)| *owner)
    }

    /// Takes everything out.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.0.into_values().flat_map(Numbered::into_values)
    }
}

impl<V> Default for ByOwner<V> {
    fn default() -> ByOwner<V> {
        ByOwner(BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0..3_u8, 0..400_u64, any::<u16>()), 0..300)) {
            let (mut map, mut oracle) = (Numbered::<u64, u16>::new(), BTreeMap::new());
            for (what, number, value) in steps {
                match what {
                    0 => prop_assert_eq!(map.insert(number, value), oracle.insert(number, value)),
                    1 => prop_assert_eq!(map.remove(&number), oracle.remove(&number)),
                    _ => {
                        let (ours, theirs) = (map.get_mut(&number), oracle.get_mut(&number));
                        prop_assert_eq!(&ours, &theirs);
                        ours.into_iter().chain(theirs).for_each(|entry| *entry = value);
                    }
                }
                prop_assert_eq!(map.len(), oracle.len());
                prop_assert_eq!(map.get(&number), oracle.get(&number));
                let before: Vec<_> = oracle.range(..number).rev().map(|(key, value)| (*key, value)).collect();
                prop_assert_eq!(map.before(number).collect::<Vec<_>>(), before);
            }
            let all: Vec<_> = oracle.iter().map(|(key, value)| (*key, value)).collect();
            prop_assert_eq!(map.iter().collect::<Vec<_>>(), all);
            let values: Vec<u16> = oracle.values().copied().collect();
            prop_assert_eq!(map.values_mut().map(|value| *value).collect::<Vec<_>>(), values);
            prop_assert_eq!(map.before(u64::MAX).count(), oracle.len());
            prop_assert!(map.is_empty() == map.pages.is_empty(), "no page is kept that is empty");
            prop_assert_eq!(map.into_values().collect::<Vec<_>>(), oracle.into_values().collect::<Vec<_>>());
        }
    }

    #[test]
    fn tasks_of_one_owner_are_apart_from_those_of_another() {
        let mut map = ByOwner::default();
        let key = |owner, task| (WorkerId(owner), TaskId(task));
        for owner in 1..4 {
            (0..100).for_each(|task| assert_eq!(map.insert(key(owner, task), owner), None));
        }
        assert_eq!((map.get(key(2, 7)), map.len()), (Some(&2), 300));
        assert_eq!((map.remove(key(2, 7)), map.remove(key(2, 7)), map.len()), (Some(2), None, 299));
        assert_eq!(map.remove_all_of(WorkerId(3)).into_values().sum::<u32>(), 300);
        (0..100).for_each(|task| _ = map.remove(key(2, task)));
        assert_eq!(map.owners().collect::<Vec<_>>(), [WorkerId(1)]);
        assert_eq!(map.into_values().count(), 100);
    }
}
