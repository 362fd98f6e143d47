//! How long things may take.

use std::time::Duration;

/// The times by which a process judges others and gathers what it sends.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// A peer that says nothing for this long is suspect. Four signs of life are sent in this time.
    pub lease: Duration,
    /// A peer that stays suspect for this long is gone. Longer than any cut or stop that must cost nothing.
    pub grace: Duration,
    /// Frames that are not acknowledged for this long are asked after; then after twice that, and so on.
    pub probe_after: Duration,
    /// What came is acknowledged after this, if nothing else is sent that says so.
    pub news_after: Duration,
    /// Messages of one peer are gathered for this long after a frame of messages was sent to it.
    pub flush_after: Duration,
}

impl Timing {
    /// For real clusters: a cut of 9 s and a stop of 13 s cost nothing, a silent death is known after 15 s.
    pub const DEFAULT: Timing = Timing {
        lease: Duration::from_secs(5),
        grace: Duration::from_secs(10),
        // Far more than a round trip with a busy processor at each end takes, and still soon.
        probe_after: Duration::from_millis(100),
        // Late enough that the answer to a message usually carries it.
        news_after: Duration::from_millis(2),
        // As much as two wakes of a sleeping thread: messages one by one cost four times as much as in frames.
        flush_after: Duration::from_micros(100),
    };

    /// For a cluster in which a silent worker is gone after that long: two thirds of it is what a cut may last.
    pub fn with_limit(silence: Duration) -> Timing {
        Timing { lease: silence / 3, grace: silence - silence / 3, ..Timing::DEFAULT }
    }

    /// The longest pause between two probes.
    pub const PROBE_PAUSE_MAX: Duration = Duration::from_secs(2);

    /// How often a sign of life is sent.
    pub fn heartbeat(&self) -> Duration {
        self.lease / 4
    }
}

impl Default for Timing {
    fn default() -> Timing {
        Timing::DEFAULT
    }
}
