//! Whether a worker that has ended is replaced by another, and when. Pure: time is an argument.
//!
//! A program that cannot live would be started again for ever, so there are two bounds, after Erlang's supervisors: so many in a
//! minute, as the user says; and a few in a row that end before they have joined, each after twice the pause of the one before.

use poniard_model::WorkerId;
use std::collections::VecDeque;
use std::time::Duration;

/// The time in which replacements are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Replacements in a row that end before they have joined: then the next one would, too.
const IN_VAIN_MAX: u32 = 3;
/// After the first of these the next one is started so much later.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// What has been replaced lately.
#[derive(Debug, Default)]
pub(super) struct Respawns {
    /// How many in a minute; 0: none at all.
    most: u32,
    lately: VecDeque<Duration>,
    in_vain: u32,
    has_given_up: bool,
}

/// What is to be done about an end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another one is started after this time.
    Replace { after: Duration },
    /// None is started any more, for this reason.
    GiveUp(String),
    /// Nothing.
    Leave,
}

impl Respawns {
    /// At most so many in a minute.
    pub(super) fn new(most: u32) -> Respawns {
        Respawns { most, ..Respawns::default() }
    }

    /// A worker has ended that nobody has told to: one that was there, or one that replaces another and had not joined yet.
    pub(super) fn on_end(&mut self, now: Duration, worker: WorkerId, had_joined: bool, how: &str) -> Verdict {
        if self.most == 0 || self.has_given_up {
            return Verdict::Leave;
        }
        self.in_vain = if had_joined { 0 } else { self.in_vain + 1 };
        while self.lately.front().is_some_and(|at| *at + WINDOW <= now) {
            self.lately.pop_front();
        }
        let why = if self.in_vain >= IN_VAIN_MAX {
            format!("{IN_VAIN_MAX} in a row ended before they had joined")
        } else if self.lately.len() >= self.most as usize {
            format!("{} were replaced within a minute, and no more may be", self.lately.len())
        } else {
            self.lately.push_back(now);
            let after = match self.in_vain {
                0 => Duration::ZERO,
                again => PAUSE_FIRST * (1 << (again - 1)),
            };
            return Verdict::Replace { after };
        };
        self.has_given_up = true;
        Verdict::GiveUp(format!("workers are not replaced any more: {why}, the last one {worker}: {how}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);
    const MS: Duration = Duration::from_millis(1);

    fn end(respawns: &mut Respawns, at: Duration, had_joined: bool) -> Verdict {
        respawns.on_end(at, WorkerId(7), had_joined, "its process ended")
    }

    #[test]
    fn as_many_are_replaced_in_a_minute_as_may_be() {
        let mut respawns = Respawns::new(3);
        let at_once = Verdict::Replace { after: Duration::ZERO };
        for second in [0, 20, 40, 60, 81] {
            assert_eq!(end(&mut respawns, NOW + Duration::from_secs(second), true), at_once);
        }
        let Verdict::GiveUp(why) = end(&mut respawns, NOW + Duration::from_secs(82), true) else { panic!() };
        assert_eq!(
            why,
            "workers are not replaced any more: 3 were replaced within a minute, and no more may be, the last one w7: \
             its process ended"
        );
        assert_eq!(end(&mut respawns, 2 * NOW, true), Verdict::Leave, "for good");
    }

    #[test]
    fn those_that_never_join_are_replaced_later_and_later_and_then_no_more() {
        let mut respawns = Respawns::new(100);
        assert_eq!(end(&mut respawns, NOW, true), Verdict::Replace { after: Duration::ZERO });
        assert_eq!(end(&mut respawns, NOW, false), Verdict::Replace { after: 100 * MS });
        assert_eq!(end(&mut respawns, NOW, false), Verdict::Replace { after: 200 * MS });
        let Verdict::GiveUp(why) = end(&mut respawns, NOW, false) else { panic!() };
        assert!(why.contains("3 in a row ended before they had joined, the last one w7"), "{why}");
    }

    #[test]
    fn one_that_joins_begins_the_row_anew_and_0_is_none() {
        let mut respawns = Respawns::new(100);
        for _ in 0..10 {
            assert!(matches!(end(&mut respawns, NOW, true), Verdict::Replace { .. }));
            assert!(matches!(end(&mut respawns, NOW, false), Verdict::Replace { .. }));
            assert!(matches!(end(&mut respawns, NOW, false), Verdict::Replace { .. }));
        }
        assert_eq!(end(&mut Respawns::new(0), NOW, true), Verdict::Leave);
    }
}
