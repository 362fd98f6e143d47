//! Whether a peer is alive, as far as one can know: silence turned into a verdict.
//!
//! ```text
//!            proved              silent for a lease, or the engine says Down
//! Joining ───────────► Alive ──────────────────────────────────────────────► Suspect
//!                        ▲                                                     │ │
//!                        └───────────────── a frame of it ─────────────────────┘ │ the grace is over
//!                                                                                ▼
//!                                                                              Gone
//! ```
//!
//! Whoever was stopped itself hears nobody meanwhile. That is no silence of the others, so a process that finds that it
//! has not run for longer than half a lease counts that time for nobody ([`Member::slept`]).

use crate::timing::Timing;
use std::time::Duration;

/// What is known of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not proved itself yet.
    Joining,
    /// It was heard of lately.
    Alive,
    /// It is silent or out of reach since then.
    Suspect {
        /// When that began.
        since: Duration,
    },
    /// It was out of reach for too long, and stays gone.
    Gone,
}

/// The membership of one peer. Pure: time is an argument.
#[derive(Debug)]
pub struct Member {
    state: State,
    heard: Duration,
}

impl Member {
    /// Of a peer that is not known yet.
    pub fn new(now: Duration) -> Member {
        Member { state: State::Joining, heard: now }
    }

    /// What is known of it.
    pub fn state(&self) -> State {
        self.state
    }

    /// It has proved itself, or a frame of it came that only it can have sent.
    pub fn heard(&mut self, now: Duration) {
        self.heard = now;
        if self.state != State::Gone {
            self.state = State::Alive;
        }
    }

    /// The engine says that it is out of reach.
    pub fn down(&mut self, now: Duration) {
        if self.state == State::Alive {
            self.state = State::Suspect { since: now };
        }
    }

    /// This process itself did not run for that long.
    pub fn slept(&mut self, time: Duration) {
        self.heard += time;
        if let State::Suspect { since } = &mut self.state {
            *since += time;
        }
    }

    /// Time passes. Returns whether the peer is gone now.
    pub fn on_time(&mut self, now: Duration, timing: &Timing) -> bool {
        if self.state == State::Alive && now >= self.heard + timing.lease {
            self.state = State::Suspect { since: self.heard + timing.lease };
        }
        if let State::Suspect { since } = self.state
            && now >= since + timing.grace
        {
            self.state = State::Gone;
        }
        self.state == State::Gone
    }

    /// When `on_time` has something to do.
    pub fn deadline(&self, timing: &Timing) -> Option<Duration> {
        match self.state {
            State::Joining | State::Gone => None,
            State::Alive => Some(self.heard + timing.lease),
            State::Suspect { since } => Some(since + timing.grace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing =
        Timing { lease: Duration::from_secs(2), grace: Duration::from_secs(3), ..Timing::DEFAULT };

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn alive_at(now: u64) -> Member {
        let mut member = Member::new(s(0));
        member.heard(s(now));
        member
    }

    #[test]
    fn silence_makes_suspect_after_the_lease_and_gone_after_the_grace() {
        let mut member = alive_at(1);
        for (now, state) in [(2, State::Alive), (3, State::Suspect { since: s(3) }), (6, State::Gone)] {
            assert_eq!(member.on_time(s(now), &TIMING), state == State::Gone);
            assert_eq!(member.state(), state);
        }
    }

    #[test]
    fn who_is_heard_within_the_grace_is_alive_as_if_nothing_had_been() {
        let mut member = alive_at(1);
        assert!(!member.on_time(s(5), &TIMING));
        member.heard(s(5));
        assert_eq!(member.state(), State::Alive);
        assert_eq!(member.deadline(&TIMING), Some(s(7)));
    }

    #[test]
    fn the_grace_begins_at_once_when_the_engine_says_down_and_only_once() {
        let mut member = alive_at(1);
        member.down(s(1));
        member.down(s(3));
        assert_eq!(member.state(), State::Suspect { since: s(1) });
        assert!(member.on_time(s(4), &TIMING));
    }

    #[test]
    fn the_gone_stay_gone() {
        let mut member = alive_at(1);
        assert!(member.on_time(s(60), &TIMING));
        member.heard(s(61));
        assert_eq!((member.state(), member.deadline(&TIMING)), (State::Gone, None));
    }

    #[test]
    fn who_slept_itself_counts_nobodys_silence() {
        let mut member = alive_at(1);
        member.slept(s(20));
        assert!(!member.on_time(s(22), &TIMING));
        assert_eq!(member.state(), State::Alive);
    }
}
