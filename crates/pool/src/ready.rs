//! The ready tasks of the board, so that the first one that fits somewhere is found without a look at all of them.
//!
//! Tasks that fit in the same places have the same [`Shape`], and the shapes are few, however many tasks are ready. Each
//! shape keeps its tasks in the order in which they start, so whoever asks looks at the first task of each shape only.
//!
//! Declared memory is a part of the shape, rounded down to a power of two. So a task may wait behind one of its shape that
//! declares up to twice as much and does not fit just now. In return the smaller ones of a shape cannot keep its larger
//! ones waiting for ever, by taking whatever memory comes free.

use crate::task::extra::Demand;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The ready tasks.
#[derive(Debug)]
pub(crate) struct Ready<T> {
    /// No shape is without tasks.
    shapes: BTreeMap<Shape, BTreeMap<Key, Entry<T>>>,
    next: u64,
}

/// A ready task.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) task: T,
    pub(crate) demand: Demand,
}

/// What decides where a task fits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    share: u32,
    width: u32,
    /// How many bits the declared memory has as a number: two of one shape differ by less than a factor of two.
    memory_bits: u32,
    fits: Option<Arc<[u32]>>,
}

/// The order of ready tasks: the smallest key starts first.
type Key = (Reverse<i32>, Reverse<Duration>, u64);

impl<T> Ready<T> {
    pub(crate) fn new() -> Ready<T> {
        Ready { shapes: BTreeMap::new(), next: 0 }
    }

    /// Adds a task.
    pub(crate) fn put(&mut self, task: T, demand: Demand) {
        let key = (Reverse(demand.priority), Reverse(demand.time), self.next);
        self.next += 1;
        self.shapes.entry(Shape::of(&demand)).or_default().insert(key, Entry { task, demand });
    }

    /// What the first task of each shape asks for.
    pub(crate) fn firsts(&self) -> impl Iterator<Item = &Demand> {
        self.shapes.values().filter_map(|tasks| Some(&tasks.first_key_value()?.1.demand))
    }

    /// The shape whose first task is the first of those that `suits`; no task behind the first of its shape counts.
    pub(crate) fn find(&self, suits: impl Fn(&Demand) -> bool) -> Option<Shape> {
        let first = |(shape, tasks): (_, &BTreeMap<Key, Entry<T>>)| {
            let (key, entry) = tasks.first_key_value()?;
            suits(&entry.demand).then_some((*key, shape))
        };
        let found: Option<(Key, &Shape)> = self.shapes.iter().filter_map(first).min_by_key(|(key, _)| *key);
        found.map(|(_, shape)| shape.clone())
    }

    /// Takes the first task of a shape.
    pub(crate) fn take(&mut self, shape: &Shape) -> Option<Entry<T>> {
        let tasks = self.shapes.get_mut(shape)?;
        let (_, entry) = tasks.pop_first()?;
        if tasks.is_empty() {
            self.shapes.remove(shape);
        }
        Some(entry)
    }

    /// The tasks, those of one shape after those of another.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &T> {
        self.shapes.values().flat_map(BTreeMap::values).map(|entry| &entry.task)
    }

    /// Takes all tasks.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        let shapes = std::mem::take(&mut self.shapes);
        shapes.into_values().flat_map(BTreeMap::into_values).map(|entry| entry.task)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.shapes.values().map(BTreeMap::len).sum()
    }
}

impl Shape {
    fn of(demand: &Demand) -> Shape {
        Shape {
            share: demand.share,
            width: demand.width,
            memory_bits: u64::BITS - demand.memory.leading_zeros(),
            fits: demand.fits.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_one_shape_differs_by_less_than_a_factor_of_two() {
        let shape = |memory| Shape::of(&Demand { memory, ..Demand::default() });
        assert_ne!(shape(0), shape(1), "what declares nothing waits for no memory");
        for power in (0..64).map(|bit| 1u64 << bit) {
            assert_ne!(shape(power - 1), shape(power));
            assert_eq!(shape(power), shape(power + (power - 1)));
        }
    }
}
