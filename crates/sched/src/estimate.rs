//! What was measured: run times by function and processor kind, and links by peer. Medians of the last few samples.
//!
//! A median of a short window is not moved by one sample that waited for the disk, and follows a change within half a window.
//! (Upstream keeps a running mean over all processors that starts at 1 s and 1 MB/s.)

use poniard_model::{ProcessorKind, WorkerId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A function that tasks run, the same in every process: the runtime takes its offset in the executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FunctionKey(pub u64);

/// Samples that a median is taken of: enough that 7 outliers change nothing.
const WINDOW: usize = 15;

/// Functions that are remembered, times processor kinds: about 200 bytes each. The one that was not seen for longest goes.
const FUNCTIONS_MAX: usize = 4096;

/// What a message takes to a peer that was never measured: a round trip between processes of one host is about twice that.
const LATENCY_FIRST: Duration = Duration::from_micros(100);

/// Bytes per second to a peer that was never measured: a Unix socket's.
const BANDWIDTH_FIRST: u64 = 1_000_000_000;

/// A transfer of so many bytes or more tells of bandwidth, a smaller one of latency.
const BULK_BYTES: u64 = 64 << 10;

/// The median of the last few samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Median {
    samples: [u64; WINDOW],
    /// Samples ever taken.
    taken: u64,
    /// Of the samples; asked for more often than they change.
    value: u64,
    /// The largest of the samples but one, so that one outlier changes nothing; of one sample, that.
    long: u64,
}

impl Median {
    pub(crate) fn learn(&mut self, sample: u64) {
        self.samples[(self.taken % WINDOW as u64) as usize] = sample;
        self.taken += 1;
        let mut samples = self.samples;
        let known = &mut samples[..self.taken.min(WINDOW as u64) as usize];
        known.sort_unstable();
        self.value = known[(known.len() - 1) / 2];
        self.long = known[known.len().saturating_sub(2)];
    }

    /// The lower median, so that of two samples the optimistic one holds.
    pub(crate) fn value(&self) -> Option<u64> {
        (self.taken > 0).then_some(self.value)
    }

    /// The largest but one.
    fn long(&self) -> Option<u64> {
        (self.taken > 0).then_some(self.long)
    }
}

/// Of one function on one kind of processor.
#[derive(Debug, Default)]
struct Runs {
    /// Nanoseconds of tasks that ran where they were spawned: samples.
    near_ns: Median,
    /// Nanoseconds of tasks that were sent away, with the time that they waited for tasks of their own. What is given away
    /// comes from the cold end of a deque, where the big subtrees are: so a function that calls itself has two kinds of run times.
    away_ns: Median,
    result_bytes: Median,
    last_seen: u64,
}

/// Of the way to one peer.
#[derive(Debug, Default)]
struct Link {
    latency_ns: Median,
    bytes_per_second: Median,
}

/// Everything that was measured. Bounded by [`FUNCTIONS_MAX`] and the number of peers.
#[derive(Debug, Default)]
pub(crate) struct Estimates {
    runs: BTreeMap<(FunctionKey, ProcessorKind), Runs>,
    by_age: BTreeSet<(u64, FunctionKey, ProcessorKind)>,
    links: BTreeMap<WorkerId, Link>,
    /// How often the youngest has changed.
    clock: u64,
}

/// Where a run was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whence {
    Near,
    Away,
}

impl Estimates {
    /// Learns that a task of this function ran for so long.
    pub(crate) fn ran(&mut self, function: FunctionKey, kind: ProcessorKind, whence: Whence, ran: Duration) {
        let runs = self.touch(function, kind);
        match whence {
            Whence::Near => runs.near_ns.learn(nanos(ran)),
            Whence::Away => runs.away_ns.learn(nanos(ran)),
        }
    }

    /// Learns how large a result of this function is.
    pub(crate) fn made(&mut self, function: FunctionKey, kind: ProcessorKind, bytes: u64) {
        self.touch(function, kind).result_bytes.learn(bytes);
    }

    /// Learns that so many bytes took so long from or to a peer.
    pub(crate) fn moved(&mut self, peer: WorkerId, bytes: u64, took: Duration) {
        let link = self.links.entry(peer).or_default();
        if bytes < BULK_BYTES {
            link.latency_ns.learn(nanos(took));
        } else {
            let per_second = u128::from(bytes) * 1_000_000_000 / u128::from(nanos(took).max(1));
            link.bytes_per_second.learn(u64::try_from(per_second).unwrap_or(u64::MAX).max(1));
        }
    }

    /// Forgets the way to a peer that is gone: its next life may be elsewhere.
    pub(crate) fn forget(&mut self, peer: WorkerId) {
        self.links.remove(&peer);
    }

    /// How long a task of this function runs when it is sent away, in nanoseconds.
    pub(crate) fn run_ns(&self, function: FunctionKey, kind: ProcessorKind) -> Option<u64> {
        let runs = self.runs.get(&(function, kind))?;
        runs.away_ns.value().or_else(|| runs.near_ns.value())
    }

    /// As [`run_ns`](Self::run_ns), but from tasks that were sent away alone.
    pub(crate) fn away_ns(&self, function: FunctionKey, kind: ProcessorKind) -> Option<u64> {
        self.runs.get(&(function, kind))?.away_ns.value()
    }

    /// How long a task of this function may well run when it is sent away. Of a function that calls itself, what lies at the cold end
    /// of a deque takes half of all the time, and the next one half of the rest.
    pub(crate) fn long_away_ns(&self, function: FunctionKey, kind: ProcessorKind) -> Option<u64> {
        self.runs.get(&(function, kind))?.away_ns.long()
    }

    /// How large a result of this function is, in bytes.
    pub(crate) fn result_bytes(&self, function: FunctionKey, kind: ProcessorKind) -> Option<u64> {
        self.runs.get(&(function, kind))?.result_bytes.value()
    }

    /// What a message to the peer takes one way, in nanoseconds.
    pub(crate) fn latency_ns(&self, peer: WorkerId) -> u64 {
        let measured = self.links.get(&peer).and_then(|link| link.latency_ns.value());
        measured.unwrap_or(nanos(LATENCY_FIRST))
    }

    /// What so many bytes take to the peer, in nanoseconds; 0 for none.
    pub(crate) fn transfer_ns(&self, peer: WorkerId, bytes: u64) -> u64 {
        if bytes == 0 {
            return 0;
        }
        let measured = self.links.get(&peer).and_then(|link| link.bytes_per_second.value());
        let per_second = u128::from(measured.unwrap_or(BANDWIDTH_FIRST));
        let streaming = u128::from(bytes) * 1_000_000_000 / per_second;
        self.latency_ns(peer).saturating_add(u64::try_from(streaming).unwrap_or(u64::MAX))
    }

    fn touch(&mut self, function: FunctionKey, kind: ProcessorKind) -> &mut Runs {
        if !self.runs.contains_key(&(function, kind)) && self.runs.len() >= FUNCTIONS_MAX {
            let (_, function, kind) = self.by_age.pop_first().expect("each one has an age");
            self.runs.remove(&(function, kind));
        }
        let runs = self.runs.entry((function, kind)).or_default();
        if self.clock > 0 && runs.last_seen == self.clock {
            // It is the youngest already.
            return runs;
        }
        self.clock += 1;
        self.by_age.remove(&(runs.last_seen, function, kind));
        runs.last_seen = self.clock;
        self.by_age.insert((self.clock, function, kind));
        runs
    }

    /// # Panics
    /// When a bound or an order is broken.
    pub(crate) fn check(&self) {
        assert!(self.runs.len() <= FUNCTIONS_MAX);
        assert_eq!(self.runs.len(), self.by_age.len());
        let has_age = |(&(function, kind), runs): (&(FunctionKey, ProcessorKind), &Runs)| {
            self.by_age.contains(&(runs.last_seen, function, kind))
        };
        assert!(self.runs.iter().all(has_age));
    }
}

/// A duration in nanoseconds; 584 years are for ever.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CPU: ProcessorKind = ProcessorKind::Cpu;

    #[test]
    fn seven_outliers_of_fifteen_change_nothing() {
        let mut median = Median::default();
        (0..8).for_each(|_| median.learn(100));
        (0..7).for_each(|_| median.learn(1_000_000_000));
        assert_eq!(median.value(), Some(100));
    }

    #[test]
    fn one_outlier_of_fifteen_is_not_what_may_well_be() {
        let mut estimates = Estimates::default();
        let function = FunctionKey(1);
        let mut run = |micros| {
            estimates.ran(function, CPU, Whence::Away, Duration::from_micros(micros));
            estimates.long_away_ns(function, CPU).unwrap() / 1_000
        };
        // The parts of a tree, in the order in which they were given; then one task that waited for the disk.
        assert_eq!([128, 64, 32, 16].map(&mut run), [128, 64, 64, 64]);
        assert_eq!([128, 5].map(&mut run), [128, 128]);
        assert_eq!([5; 15].map(&mut run).last(), Some(&5));
        assert_eq!([1_000_000, 5].map(&mut run), [5, 5]);
    }

    #[test]
    fn bytes_over_bandwidth_are_nanoseconds() {
        let mut estimates = Estimates::default();
        let peer = WorkerId(2);
        assert_eq!(estimates.transfer_ns(peer, 1_000_000_000), 1_000_000_000 + 100_000);
        estimates.moved(peer, 100 << 20, Duration::from_millis(100));
        estimates.moved(peer, 100, Duration::from_micros(20));
        assert_eq!(estimates.transfer_ns(peer, 1 << 20), 1_000_000 + 20_000);
        assert_eq!(estimates.transfer_ns(peer, 0), 0);
    }

    #[test]
    fn what_was_measured_away_wins_over_samples_from_here() {
        let mut estimates = Estimates::default();
        let function = FunctionKey(1);
        assert_eq!(estimates.run_ns(function, CPU), None);
        estimates.ran(function, CPU, Whence::Near, Duration::from_nanos(100));
        assert_eq!(estimates.run_ns(function, CPU), Some(100));
        estimates.ran(function, CPU, Whence::Away, Duration::from_millis(1));
        assert_eq!(estimates.run_ns(function, CPU), Some(1_000_000));
    }

    #[test]
    fn the_function_not_seen_for_longest_is_forgotten() {
        let mut estimates = Estimates::default();
        for number in 0..FUNCTIONS_MAX as u64 + 10 {
            estimates.ran(FunctionKey(number), CPU, Whence::Near, Duration::from_nanos(number));
            estimates.ran(FunctionKey(0), CPU, Whence::Near, Duration::from_nanos(7));
        }
        estimates.check();
        assert_eq!(estimates.run_ns(FunctionKey(0), CPU), Some(7));
        assert_eq!(estimates.run_ns(FunctionKey(1), CPU), None);
    }

    proptest! {
        #[test]
        fn a_median_is_one_of_its_last_samples(samples in prop::collection::vec(any::<u64>(), 1..40)) {
            let mut median = Median::default();
            samples.iter().for_each(|sample| median.learn(*sample));
            let last = &samples[samples.len().saturating_sub(WINDOW)..];
            let value = median.value().unwrap();
            let below = last.iter().filter(|sample| **sample < value).count();
            let above = last.iter().filter(|sample| **sample > value).count();
            prop_assert!(last.contains(&value) && below <= last.len() / 2 && above <= last.len() / 2);
        }
    }
}
