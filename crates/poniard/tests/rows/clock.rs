//! A clock of the tests' own: what takes long takes no time, and how long a schedule takes is a number that no busy machine
//! changes.

use crate::signals::LIMIT;
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};

/// Time in ticks. It goes on, from one waking to the next, when as many tasks sleep as must: a processor that is idle while a
/// task could run, and a task that runs where none may, stop it, and fail the test.
#[derive(Clone, Default)]
pub(crate) struct Clock(Arc<(Mutex<Hands>, Condvar)>);

#[derive(Default)]
struct Hands {
    now: u64,
    /// When which sleeper wakes.
    asleep: BTreeSet<(u64, usize)>,
    /// The sleepers that have woken.
    woken: BTreeSet<usize>,
    is_broken: bool,
}

impl Clock {
    /// Sleeps for so many ticks, as the only one with this number.
    pub(crate) fn sleep(&self, number: usize, ticks: u64) {
        let (hands, moved) = &*self.0;
        let mut hands = hands.lock().unwrap();
        let waking = hands.now + ticks;
        hands.asleep.insert((waking, number));
        moved.notify_all();
        let asleep = |hands: &mut Hands| !hands.is_broken && !hands.woken.contains(&number);
        let (hands, _) = moved.wait_timeout_while(hands, LIMIT, asleep).unwrap();
        let has_woken = hands.woken.contains(&number);
        drop(hands);
        assert!(has_woken, "the clock has stopped");
    }

    /// Lets the time go on until nobody must sleep, and tells how long that took. `must_sleep` tells how many must, by those
    /// that have woken.
    pub(crate) fn run(&self, must_sleep: impl Fn(&BTreeSet<usize>) -> usize) -> u64 {
        let (hands, moved) = &*self.0;
        let mut hands = hands.lock().unwrap();
        loop {
            let must = must_sleep(&hands.woken);
            if must == 0 {
                return hands.now;
            }
            hands = moved.wait_timeout_while(hands, LIMIT, |hands| hands.asleep.len() < must).unwrap().0;
            let (asleep, now) = (hands.asleep.len(), hands.now);
            hands.is_broken = asleep != must;
            if !hands.is_broken {
                hands.now = hands.asleep.first().map_or(now, |(waking, _)| *waking);
                while let Some((waking, number)) = hands.asleep.pop_first() {
                    if waking > hands.now {
                        hands.asleep.insert((waking, number));
                        break;
                    }
                    hands.woken.insert(number);
                }
            }
            moved.notify_all();
            if hands.is_broken {
                drop(hands);
                panic!("at tick {now} {asleep} tasks run, and {must} must");
            }
        }
    }
}
