//! Which parts of the spill file are free: a pure list that joins neighbours.

use std::collections::{BTreeMap, BTreeSet};

/// The free parts of a file. Offsets and lengths are in bytes, multiples of a block.
#[derive(Debug, Default)]
pub(super) struct Extents {
    /// By offset: the length.
    free: BTreeMap<u64, u64>,
    by_length: BTreeSet<(u64, u64)>,
    free_bytes: u64,
}

impl Extents {
    /// Takes the smallest free part that holds `length`, the first one of several.
    pub(super) fn take(&mut self, length: u64) -> Option<u64> {
        let (found, offset) = *self.by_length.range((length, 0)..).next()?;
        self.remove(offset, found);
        if found > length {
            self.insert(offset + length, found - length);
        }
        Some(offset)
    }

    /// Makes a part free, and one with the free parts before and after it.
    pub(super) fn give(&mut self, mut offset: u64, mut length: u64) {
        if length == 0 {
            return;
        }
        let before = self.free.range(..offset).next_back().map(|(at, free)| (*at, *free));
        if let Some((at, free)) = before {
            assert!(at + free <= offset, "{offset} was free already");
            if at + free == offset {
                self.remove(at, free);
                (offset, length) = (at, length + free);
            }
        }
        let after = self.free.range(offset..).next().map(|(at, free)| (*at, *free));
        if let Some((at, free)) = after {
            assert!(offset + length <= at, "{at} was free already");
            if offset + length == at {
                self.remove(at, free);
                length += free;
            }
        }
        self.insert(offset, length);
    }

    /// Bytes that are free right before `end`.
    pub(super) fn free_before(&self, end: u64) -> u64 {
        let last = self.free.range(..end).next_back();
        last.filter(|(at, free)| *at + *free == end).map_or(0, |(_, free)| *free)
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.free_bytes
    }

    fn insert(&mut self, offset: u64, length: u64) {
        self.free.insert(offset, length);
        self.by_length.insert((length, offset));
        self.free_bytes += length;
    }

    fn remove(&mut self, offset: u64, length: u64) {
        self.free.remove(&offset);
        self.by_length.remove(&(length, offset));
        self.free_bytes -= length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against one flag a block: nothing is given out twice, and all that is free is joined.
        #[test]
        fn no_part_is_given_out_twice_and_neighbours_are_one(
            choices in prop::collection::vec((any::<bool>(), 1u64..9, any::<prop::sample::Index>()), 1..200),
        ) {
            const BLOCKS: u64 = 64;
            let mut extents = Extents::default();
            extents.give(0, BLOCKS);
            let mut is_free = vec![true; BLOCKS as usize];
            let mut taken: Vec<(u64, u64)> = Vec::new();
            for (takes, length, which) in choices {
                if takes {
                    let runs = is_free.split(|free| !free).map(<[bool]>::len).max().unwrap_or(0);
                    let offset = extents.take(length);
                    prop_assert_eq!(offset.is_some(), runs as u64 >= length, "what fits is found");
                    if let Some(offset) = offset {
                        for block in &mut is_free[offset as usize..(offset + length) as usize] {
                            prop_assert!(std::mem::replace(block, false));
                        }
                        taken.push((offset, length));
                    }
                } else if !taken.is_empty() {
                    let (offset, length) = taken.swap_remove(which.index(taken.len()));
                    extents.give(offset, length);
                    is_free[offset as usize..(offset + length) as usize].fill(true);
                }
                let free = is_free.iter().filter(|free| **free).count() as u64;
                prop_assert_eq!(extents.free_bytes(), free);
                let tail = is_free.iter().rev().take_while(|free| **free).count() as u64;
                prop_assert_eq!(extents.free_before(BLOCKS), tail);
            }
        }
    }
}
