//! How much of what others have lent may be here at a time: pulls wait in order until there is room. Pure: time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

/// The first that waits goes on after this time without any change, however much is here: those that have what is here may wait for
/// it, by ways that nobody knows of.
const PATIENCE: Duration = Duration::from_secs(1);

/// The bytes that are here or on their way, and who waits.
#[derive(Debug)]
pub(super) struct Credit {
    limit: u64,
    used: u64,
    waiting: VecDeque<u64>,
    /// When something has changed last.
    changed: Duration,
}

impl Credit {
    pub(super) fn new(limit: u64) -> Credit {
        Credit { limit, used: 0, waiting: VecDeque::new(), changed: Duration::ZERO }
    }

    /// A pull of this number waits from now on, if it is not let in at once.
    pub(super) fn wait(&mut self, now: Duration, pull: u64) {
        if self.waiting.is_empty() {
            self.changed = now;
        }
        self.waiting.push_back(pull);
    }

    /// The first that waits, if it may go on: `bytes` are what it needs then. It waits no more, and the bytes are taken.
    pub(super) fn next(&mut self, now: Duration, bytes: impl FnOnce(u64) -> u64) -> Option<u64> {
        let first = *self.waiting.front()?;
        let bytes = bytes(first);
        let has_room = bytes == 0 || self.used == 0 || self.used.saturating_add(bytes) <= self.limit;
        if !has_room && now.saturating_sub(self.changed) < PATIENCE {
            return None;
        }
        self.waiting.pop_front();
        self.used += bytes;
        self.changed = now;
        Some(first)
    }

    /// So many bytes are here no more.
    pub(super) fn give_back(&mut self, now: Duration, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
        self.changed = now;
    }

    /// A pull waits no more.
    pub(super) fn forget(&mut self, pull: u64) {
        self.waiting.retain(|waits| *waits != pull);
    }

    /// When the first that waits goes on in any case.
    pub(super) fn at(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then(|| self.changed + PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poniard_fabric::chance::Chance;

    const NOW: Duration = Duration::from_secs(5);

    #[test]
    fn pulls_go_on_in_order_and_never_take_more_than_there_is_while_others_end() {
        for seed in 0..1000 {
            let mut chance = Chance::new(seed);
            let limit = 1000;
            let mut credit = Credit::new(limit);
            let sizes: Vec<u64> = (0..50).map(|_| chance.below(600)).collect();
            (0..50).for_each(|pull| credit.wait(NOW, pull));
            let (mut here, mut order) = (Vec::new(), Vec::new());
            while order.len() < sizes.len() {
                match credit.next(NOW, |pull| sizes[pull as usize]) {
                    Some(pull) => {
                        here.push(sizes[pull as usize]);
                        order.push(pull);
                        let sum: u64 = here.iter().sum();
                        assert!(
                            sum <= limit || here.iter().filter(|bytes| **bytes > 0).count() == 1,
                            "seed {seed}"
                        );
                    }
                    None => {
                        assert!(!here.is_empty(), "seed {seed}: one is let in in any case");
                        let ends = chance.below(here.len() as u64) as usize;
                        credit.give_back(NOW, here.swap_remove(ends));
                    }
                }
            }
            assert!(order.iter().copied().eq(0..50), "seed {seed}");
            assert_eq!(credit.at(), None);
        }
    }

    #[test]
    fn the_first_goes_on_after_a_while_though_nothing_ends() {
        let mut credit = Credit::new(100);
        credit.wait(NOW, 1);
        assert_eq!(credit.next(NOW, |_| 5000), Some(1), "alone, whatever its size");
        credit.wait(NOW, 2);
        credit.wait(NOW, 3);
        assert_eq!(credit.next(NOW, |_| 1), None);
        assert_eq!(credit.at(), Some(NOW + PATIENCE));
        credit.forget(2);
        assert_eq!(credit.next(NOW + PATIENCE, |_| 1), Some(3));
    }
}
