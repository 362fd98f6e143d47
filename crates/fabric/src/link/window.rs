//! The sending half of a lane: what was sent and may have to be sent again.

use super::Violation;
use crate::frame::{FRAME_BYTES_MAX, HEAD_BYTES_MAX};
use crate::timing::Timing;
use poniard_model::planted;
use std::collections::VecDeque;
use std::time::Duration;

/// Frames that were sent and are not acknowledged, oldest first, and how to find out what became of them.
#[derive(Debug)]
pub(crate) struct Window<P> {
    /// With what each weighs. Their numbers end before `next`.
    sent: VecDeque<(P, usize)>,
    /// The number of the next frame.
    next: u64,
    /// What `sent` weighs, heads included.
    bytes: usize,
    bytes_max: usize,
    /// The first number that the receiver does not want yet.
    limit: u64,
    flow: Flow,
    /// How often there was a doubt, which is the number of the last one's probe. 0 is nobody's.
    doubts: u64,
    /// When something was acknowledged last, or sent while nothing was out.
    progress_at: Duration,
}

/// Whether frames may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Open,
    /// Frames may be lost. Nothing is sent, neither again nor new, before the receiver has said what it has.
    Doubt {
        probe: u64,
        ask_at: Duration,
        pause: Duration,
    },
}

impl<P> Window<P> {
    /// An empty one that holds so many bytes; the receiver wants the frames before `limit`.
    pub(crate) fn new(bytes_max: usize, limit: u64) -> Window<P> {
        let (sent, flow, progress_at) = (VecDeque::new(), Flow::Open, Duration::ZERO);
        Window { sent, next: 0, bytes: 0, bytes_max, limit, flow, doubts: 0, progress_at }
    }

    /// Whether a frame of any size may be sent.
    pub(crate) fn has_room(&self) -> bool {
        self.flow == Flow::Open && !self.is_at_limit() && self.bytes + FRAME_BYTES_MAX <= self.bytes_max
    }

    /// Whether the receiver wants no more for now.
    pub(crate) fn is_at_limit(&self) -> bool {
        self.next >= self.limit
    }

    /// Keeps what is sent now, and gives it its number.
    pub(crate) fn push(&mut self, now: Duration, payload: P, bytes: usize) -> u64 {
        debug_assert!(self.has_room(), "the sender has looked");
        if self.sent.is_empty() {
            self.progress_at = now;
        }
        let weight = bytes + HEAD_BYTES_MAX;
        self.bytes += weight;
        self.sent.push_back((payload, weight));
        self.next += 1;
        if planted!(forgets_what_it_sent) {
            self.bytes -= weight;
            self.sent.pop_back();
        }
        self.next - 1
    }

    /// The frames that are out, with their numbers.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (u64, &P)> {
        (self.first()..).zip(self.sent.iter().map(|(payload, _)| payload))
    }

    /// The receiver has all frames before `wanted`, and wants those before `limit`.
    pub(crate) fn on_news(&mut self, now: Duration, wanted: u64, limit: u64) -> Result<(), Violation> {
        if wanted > self.next {
            return Err(Violation("acknowledges what was not sent"));
        }
        if wanted > self.first() || limit > self.limit {
            self.progress_at = now;
        }
        self.limit = self.limit.max(limit);
        while self.first() < wanted && !(planted!(lost_ack) && wanted == self.next) {
            let (_, weight) = self.sent.pop_front().expect("the first one is before the next one");
            self.bytes -= weight;
        }
        if self.sent.is_empty() && !self.is_at_limit() {
            self.flow = Flow::Open;
        }
        Ok(())
    }

    /// The receiver has answered a probe, and its news are in. Returns whether what is still out must be sent again.
    pub(crate) fn on_answer(&mut self, now: Duration, answered: u64) -> bool {
        let is_current = matches!(self.flow, Flow::Doubt { probe, .. } if probe == answered);
        if is_current {
            (self.flow, self.progress_at) = (Flow::Open, now);
        }
        is_current && !planted!(no_resend)
    }

    /// The connection broke or came back: what is out may be lost, and it is worth asking at once.
    pub(crate) fn doubt(&mut self, now: Duration, timing: &Timing) {
        if !self.sent.is_empty() {
            self.doubts += 1;
            self.flow = Flow::Doubt { probe: self.doubts, ask_at: now, pause: timing.probe_after };
        }
    }

    /// Time passes; `is_waiting` says whether there is more to send. Returns the probe that is to be sent.
    pub(crate) fn ask(&mut self, now: Duration, timing: &Timing, is_waiting: bool) -> Option<u64> {
        if self.deadline(timing, is_waiting).is_none_or(|deadline| now < deadline) {
            return None;
        }
        let (probe, pause) = match self.flow {
            Flow::Open => {
                self.doubts += 1;
                (self.doubts, timing.probe_after)
            }
            Flow::Doubt { probe, pause, .. } => (probe, (2 * pause).min(Timing::PROBE_PAUSE_MAX)),
        };
        self.flow = Flow::Doubt { probe, ask_at: now + pause, pause };
        Some(probe)
    }

    /// When `ask` has something to do.
    pub(crate) fn deadline(&self, timing: &Timing, is_waiting: bool) -> Option<Duration> {
        match self.flow {
            Flow::Doubt { ask_at, .. } => Some(ask_at),
            Flow::Open if planted!(no_probe) => None,
            // The news that would let more out may be lost as well.
            Flow::Open if !self.sent.is_empty() || (is_waiting && self.is_at_limit()) => {
                Some(self.progress_at + timing.probe_after)
            }
            Flow::Open => None,
        }
    }

    fn first(&self) -> u64 {
        self.next - self.sent.len() as u64
    }

    /// Panics when the window contradicts itself.
    pub(crate) fn check(&self) {
        assert_eq!(self.bytes, self.sent.iter().map(|(_, weight)| weight).sum::<usize>());
        assert!(self.bytes <= self.bytes_max, "{} bytes are out", self.bytes);
        assert!(self.next <= self.limit, "more is out than is wanted");
    }
}
