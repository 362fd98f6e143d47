//! How long the thread that owns MPI sleeps between two looks. Pure: time is an argument.
//!
//! A thread that looks all the time takes a whole core, and one that looks at fixed times is late or takes too much of one. This one
//! sleeps for a part of the time for which nothing has happened: what comes is late by that part at most, and the number of looks
//! grows with the logarithm of the time, until the longest sleep.

use std::time::Duration;

/// While something has just happened, more is on its way: as long as a wake of a sleeping thread takes.
const BUSY: Duration = Duration::from_micros(30);
/// No sleep is shorter: the system makes no shorter ones.
const SHORTEST: Duration = Duration::from_micros(50);
/// Nor longer: so late may be what comes after a long time. Half as long is twice the cost of an idle rank.
const LONGEST: Duration = Duration::from_millis(4);
/// A sleep is so small a part of the time for which nothing has happened.
const PART: u32 = 4;

/// How long to sleep when nothing has happened for so long; none: look again at once.
pub(super) fn rest(idle: Duration) -> Option<Duration> {
    (idle >= BUSY).then(|| (idle / PART).clamp(SHORTEST, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it is looked within that time, from the last event on, if a look takes no time.
    fn looks(time: Duration) -> u32 {
        let (mut idle, mut looks) = (BUSY, 0);
        while idle < time {
            idle += rest(idle).unwrap();
            looks += 1;
        }
        looks
    }

    #[test]
    fn what_comes_is_late_by_a_quarter_of_the_time_it_took_or_the_shortest_sleep() {
        for micros in (30..100_000).step_by(7) {
            let idle = Duration::from_micros(micros);
            let late = rest(idle).unwrap();
            assert!(late <= (idle / 4).max(SHORTEST) && late <= LONGEST, "{late:?} after {idle:?}");
        }
        assert_eq!(rest(Duration::ZERO), None);
    }

    #[test]
    fn an_idle_rank_looks_250_times_a_second() {
        assert!(looks(Duration::from_millis(16)) < 40);
        let (one, two) = (looks(Duration::from_secs(1)), looks(Duration::from_secs(2)));
        assert_eq!(two - one, 250);
    }
}
