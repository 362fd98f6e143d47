//! Which parts of a slab are free: ranges that never touch, found by place and by length.

use std::collections::{BTreeMap, BTreeSet};

/// Free ranges of one slab, in bytes. Two that would touch are one.
#[derive(Debug)]
pub(crate) struct Extents {
    by_start: BTreeMap<usize, usize>,
    by_len: BTreeSet<(usize, usize)>,
}

impl Extents {
    /// Of a slab that is free from 0 to `len`.
    pub(crate) fn all(len: usize) -> Extents {
        let mut extents = Extents { by_start: BTreeMap::new(), by_len: BTreeSet::new() };
        extents.insert(0, len);
        extents
    }

    /// Takes `len` bytes out of the shortest range that has them, and gives their start.
    pub(crate) fn take(&mut self, len: usize) -> Option<usize> {
        let &(found, start) = self.by_len.range((len, 0)..).next()?;
        self.remove(start, found);
        if found > len {
            self.insert(start + len, found - len);
        }
        Some(start)
    }

    /// Makes a range free again.
    ///
    /// # Panics
    /// When part of it is free already.
    pub(crate) fn give(&mut self, start: usize, len: usize) {
        let (mut from, mut to) = (start, start + len);
        if let Some((&before, &before_len)) = self.by_start.range(..=start).next_back() {
            assert!(before + before_len <= start, "a range is freed once");
            if before + before_len == start {
                self.remove(before, before_len);
                from = before;
            }
        }
        if let Some((&after, &after_len)) = self.by_start.range(start..).next() {
            assert!(to <= after, "a range is freed once");
            if after == to {
                self.remove(after, after_len);
                to += after_len;
            }
        }
        self.insert(from, to - from);
    }

    /// Whether all of a slab of `len` bytes is free.
    pub(crate) fn is_all(&self, len: usize) -> bool {
        self.by_start.get(&0) == Some(&len)
    }

    fn insert(&mut self, start: usize, len: usize) {
        self.by_start.insert(start, len);
        self.by_len.insert((len, start));
    }

    fn remove(&mut self, start: usize, len: usize) {
        self.by_start.remove(&start);
        self.by_len.remove(&(len, start));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Extents {
        /// Takes just this range; whether it was free.
        pub(crate) fn take_at(&mut self, start: usize, len: usize) -> bool {
            let found = self.by_start.range(..=start).next_back().map(|(start, len)| (*start, *len));
            let Some((from, found)) = found.filter(|(from, found)| start + len <= from + found) else {
                return false;
            };
            self.remove(from, found);
            for (from, to) in [(from, start), (start + len, from + found)] {
                if from < to {
                    self.insert(from, to - from);
                }
            }
            true
        }
    }

    const LEN: usize = 256;

    /// What is free, a flag a byte.
    fn flags(extents: &Extents) -> Vec<bool> {
        let mut flags = vec![false; LEN];
        for (&start, &len) in &extents.by_start {
            flags[start..start + len].fill(true);
        }
        flags
    }

    proptest! {
        #[test]
        fn ranges_are_those_of_a_bitmap(steps in prop::collection::vec((any::<bool>(), 1usize..40, 0usize..64), 1..200)) {
            let mut extents = Extents::all(LEN);
            let mut free = vec![true; LEN];
            let mut out: Vec<(usize, usize)> = Vec::new();
            for (take, len, which) in steps {
                if take || out.is_empty() {
                    match extents.take(len) {
                        Some(start) => {
                            prop_assert!(free[start..start + len].iter().all(|free| *free));
                            free[start..start + len].fill(false);
                            out.push((start, len));
                        }
                        None => prop_assert!(!free.windows(len).any(|window| window.iter().all(|free| *free))),
                    }
                } else {
                    let (start, len) = out.swap_remove(which % out.len());
                    extents.give(start, len);
                    free[start..start + len].fill(true);
                }
                prop_assert_eq!(flags(&extents), free.clone());
                prop_assert_eq!(extents.by_len.len(), extents.by_start.len());
                let runs = free.chunk_by(|a, b| a == b).filter(|run| run[0]).count();
                prop_assert_eq!(extents.by_start.len(), runs, "ranges that touch are one");
            }
            prop_assert_eq!(extents.is_all(LEN), out.is_empty());
        }
    }

    #[test]
    #[should_panic(expected = "a range is freed once")]
    fn freeing_what_is_free_is_a_bug() {
        Extents::all(10).give(3, 2);
    }
}
