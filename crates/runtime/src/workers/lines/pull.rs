//! One buffer on its way: what is asked for next, and when it is given up. Pure: time is an argument.

use std::time::Duration;

/// Between two attempts to connect, after the first and at most.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A connection that says nothing for this long is tried anew; later ones for twice as long each time.
    pub(super) silence: Duration,
    pub(super) silence_max: Duration,
    /// When no byte has come for this long, although the giver is alive, there is no way to it.
    pub(super) patience: Duration,
    /// The same, while there was never a connection to it.
    pub(super) patience_first: Duration,
}

/// A buffer of this length, as far as it has come.
#[derive(Debug)]
pub(super) struct Pull {
    len: u64,
    got: u64,
    limits: Limits,
    /// Since when nothing comes, if something is wrong.
    trouble_since: Option<Duration>,
    pause: Duration,
    silence: Duration,
    was_connected: bool,
}

/// What has happened on the connection.
#[derive(Debug)]
pub(super) enum Happened {
    /// There is one.
    Connected,
    /// There is none, for this reason.
    Unreachable(String),
    /// Somebody else is there.
    Stranger(String),
    /// The giver sends what was asked for.
    Begun,
    /// So many bytes have come.
    Got(u64),
    /// It has ended.
    Ended,
    /// It says nothing.
    Silent,
    /// The giver does not send this.
    Refused(String),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To connect anew, after this time.
    Connect { after: Duration },
    /// To ask for so many bytes from there on.
    Ask { offset: u64, len: u64 },
    /// To read on.
    Read,
    /// Nothing more: it is here.
    Done,
    /// There is no way: the giver is to send it by a message.
    GiveUp(String),
    /// It cannot be had.
    Fail(String),
}

impl Pull {
    /// A buffer of which nothing has come. `was_connected`: there was a connection to the giver before.
    pub(super) fn new(len: u64, limits: Limits, was_connected: bool) -> Pull {
        Pull {
            len,
            got: 0,
            limits,
            trouble_since: None,
            pause: Duration::ZERO,
            silence: limits.silence,
            was_connected,
        }
    }

    /// What is to be done first. `is_connected`: there is a connection, which may have ended meanwhile.
    pub(super) fn begin(&self, is_connected: bool) -> Step {
        match is_connected {
            true => self.ask(),
            false => Step::Connect { after: Duration::ZERO },
        }
    }

    /// Bytes that have come.
    pub(super) fn got(&self) -> u64 {
        self.got
    }

    /// How long the connection may say nothing.
    pub(super) fn silence(&self) -> Duration {
        self.silence
    }

    pub(super) fn on(&mut self, now: Duration, happened: Happened) -> Step {
        match happened {
            Happened::Connected => {
                self.was_connected = true;
                self.ask()
            }
            Happened::Begun => Step::Read,
            Happened::Got(bytes) => {
                self.got += bytes;
                assert!(self.got <= self.len, "no more is read than was asked for");
                (self.trouble_since, self.pause, self.silence) = (None, Duration::ZERO, self.limits.silence);
                if self.got == self.len { Step::Done } else { Step::Read }
            }
            Happened::Ended => self.again(now, "the connection ends again and again".to_owned()),
            Happened::Silent => {
                self.silence = (2 * self.silence).min(self.limits.silence_max);
                self.again(now, "nothing comes on any connection".to_owned())
            }
            Happened::Unreachable(why) => self.again(now, why),
            Happened::Stranger(why) => Step::GiveUp(why),
            Happened::Refused(why) => Step::Fail(why),
        }
    }

    fn ask(&self) -> Step {
        Step::Ask { offset: self.got, len: self.len - self.got }
    }

    fn again(&mut self, now: Duration, why: String) -> Step {
        let since = *self.trouble_since.get_or_insert(now);
        let patience = if self.was_connected { self.limits.patience } else { self.limits.patience_first };
        if now.saturating_sub(since) >= patience {
            return Step::GiveUp(why);
        }
        let after = self.pause;
        self.pause = (2 * self.pause).clamp(PAUSE, PAUSE_MAX);
        Step::Connect { after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poniard_fabric::chance::Chance;

    const LIMITS: Limits = Limits {
        silence: Duration::from_millis(500),
        silence_max: Duration::from_secs(2),
        patience: Duration::from_secs(15),
        patience_first: Duration::from_secs(5),
    };

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn whatever_happens_each_byte_is_asked_for_from_where_it_was_and_it_ends() {
        for seed in 0..2000 {
            let mut chance = Chance::new(seed);
            let len = 1 + chance.below(1 << 20);
            let mut pull = Pull::new(len, LIMITS, false);
            let (mut now, mut asked, mut got) = (Duration::ZERO, 0, 0);
            let (mut step, mut steps) = (pull.begin(false), 0);
            let bad = chance.below(100);
            loop {
                steps += 1;
                assert!(steps < 100_000, "seed {seed}: it does not end");
                let is_bad = chance.below(100) < bad;
                let happened = match step {
                    Step::Connect { after } => {
                        assert!(after <= PAUSE_MAX);
                        now += after;
                        if is_bad { Happened::Unreachable("no".to_owned()) } else { Happened::Connected }
                    }
                    Step::Ask { offset, len: rest } => {
                        assert_eq!((offset, offset + rest), (got, len), "seed {seed}");
                        asked = rest;
                        if is_bad { Happened::Ended } else { Happened::Begun }
                    }
                    Step::Read if is_bad && chance.below(2) == 0 => {
                        now += pull.silence();
                        Happened::Silent
                    }
                    Step::Read if is_bad => Happened::Ended,
                    Step::Read => {
                        let bytes = 1 + chance.below(asked);
                        (asked, got) = (asked - bytes, got + bytes);
                        Happened::Got(bytes)
                    }
                    Step::Done => break assert_eq!(got, len, "seed {seed}"),
                    Step::GiveUp(_) => break assert!(now >= LIMITS.patience_first, "seed {seed}"),
                    Step::Fail(_) => panic!("seed {seed}: nobody has refused it"),
                };
                now += at(chance.below(3));
                step = pull.on(now, happened);
            }
        }
    }

    #[test]
    fn who_was_never_reached_is_given_up_sooner_than_who_was() {
        let gives_up = |was_connected| {
            let mut pull = Pull::new(10, LIMITS, was_connected);
            (0..).map(Duration::from_secs).find(|now| {
                matches!(pull.on(*now, Happened::Unreachable("no route".into())), Step::GiveUp(_))
            })
        };
        assert_eq!((gives_up(false), gives_up(true)), (Some(LIMITS.patience_first), Some(LIMITS.patience)));
    }

    #[test]
    fn a_byte_ends_the_trouble_and_a_stranger_or_a_refusal_the_pull() {
        let mut pull = Pull::new(10, LIMITS, true);
        assert_eq!(pull.on(at(0), Happened::Ended), Step::Connect { after: Duration::ZERO });
        assert_eq!(pull.on(at(14_000), Happened::Ended), Step::Connect { after: PAUSE });
        assert_eq!(pull.on(at(14_001), Happened::Connected), Step::Ask { offset: 0, len: 10 });
        assert_eq!(pull.on(at(14_002), Happened::Got(4)), Step::Read);
        assert_eq!(pull.on(at(20_000), Happened::Silent), Step::Connect { after: Duration::ZERO });
        assert_eq!(pull.silence(), 2 * LIMITS.silence);
        assert_eq!(pull.on(at(20_001), Happened::Connected), Step::Ask { offset: 4, len: 6 });
        assert_eq!(pull.on(at(20_002), Happened::Stranger("w9".into())), Step::GiveUp("w9".into()));
        assert_eq!(pull.on(at(20_002), Happened::Refused("no".into())), Step::Fail("no".into()));
    }
}
