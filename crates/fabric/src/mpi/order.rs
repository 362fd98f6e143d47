//! The order of what comes on one lane from one rank. What is received whole may be so before what was sent earlier.

use std::collections::BTreeMap;

/// What comes, by numbers that are given when it is seen first.
#[derive(Debug)]
pub(super) struct InOrder<T> {
    /// The number of what is seen next.
    seen: u64,
    /// The number of what is told next.
    next: u64,
    /// What came before its turn.
    early: BTreeMap<u64, T>,
}

impl<T> Default for InOrder<T> {
    fn default() -> InOrder<T> {
        InOrder { seen: 0, next: 0, early: BTreeMap::new() }
    }
}

impl<T> InOrder<T> {
    /// Something is seen to come; gives its number.
    pub(super) fn see(&mut self) -> u64 {
        self.seen += 1;
        self.seen - 1
    }

    /// It is here. Gives all whose turn has come, in order.
    pub(super) fn take(&mut self, number: u64, what: T) -> impl Iterator<Item = T> {
        self.early.insert(number, what);
        std::iter::from_fn(move || {
            let what = self.early.remove(&self.next)?;
            self.next += 1;
            Some(what)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_received_in_any_order_is_told_in_the_order_in_which_it_was_seen() {
        let mut lane = InOrder::default();
        let numbers: Vec<u64> = (0..5).map(|_| lane.see()).collect();
        let mut told = Vec::new();
        for at in [2, 0, 1, 4, 3] {
            told.extend(lane.take(numbers[at], numbers[at]));
        }
        assert_eq!(told, numbers);
        let next = lane.see();
        assert_eq!(lane.take(next, 9).collect::<Vec<_>>(), [9]);
    }
}
