//! The table of what was done, and what was seen of memory over time.

use crate::census::Census;
use crate::chaos::Deeds;
use crate::play::Played;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a round has left, when its cluster has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) here: Census,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) played: Played,
    pub(crate) samples: Vec<Sample>,
    /// The most that this process had while its cluster was idle, and a worker.
    pub(crate) here: Census,
    pub(crate) worker: Census,
    pub(crate) longest_graph: Duration,
    pub(crate) written_bytes: u64,
    pub(crate) lent_bytes: u64,
    pub(crate) copied_bytes: u64,
    pub(crate) remade: u64,
}

impl Report {
    /// As rows of a table.
    pub(crate) fn print(&self, took: Duration, deeds: &Deeds) {
        let row = |name: &str, value: String| println!("| {name} | {value} |");
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Played { graphs, tasks, right, failed, cancelled, blamed, died, started, elsewhere, again } =
            self.played;
        println!("| soak | |\n|---|---|");
        row("time", format!("{:.0} s", took.as_secs_f64()));
        row("clusters started and ended", self.samples.len().to_string());
        row(
            "graphs; tasks; starts; of these on other workers than the first",
            format!("{graphs}; {tasks}; {started}; {elsewhere}"),
        );
        row("values as the serial oracle says", right.to_string());
        row(
            "failures as it says; cancelled; lost with three killed workers",
            format!("{failed}; {cancelled}; {blamed}"),
        );
        row("kill -9; SIGSTOP within the patience; beyond it", {
            format!("{}; {}; {}", count(&deeds.kills), count(&deeds.stops), count(&deeds.long_stops))
        });
        row("workers lost and replaced; removed and added", format!("{}; {}", died, count(&deeds.removals)));
        row(
            "starts beyond the expected ones; of these for want of memory",
            format!("{again}; {}", self.remade),
        );
        row("longest graph", format!("{:.1} s", self.longest_graph.as_secs_f64()));
        row("written to disk; lent; copied between processes", {
            let mib = |bytes: u64| bytes >> 20;
            format!("{}; {}; {} MiB", mib(self.written_bytes), mib(self.lent_bytes), mib(self.copied_bytes))
        });
        row("most in worker 1, idle", words(&self.here));
        row("most in another worker, idle", words(&self.worker));
        if let (Some(first), Some(last)) = (self.samples.first(), self.samples.last()) {
            row("after the first cluster", words(&first.here));
            row("after the last cluster", words(&last.here));
        }
        let half = &self.samples[self.samples.len() / 2..];
        let slope = |samples| slope(samples).map_or("-".to_owned(), |slope| format!("{slope:+.0}"));
        row("resident memory between clusters, KiB a minute: all; second half", {
            format!("{}; {}", slope(&self.samples), slope(half))
        });
        row("processes, descriptors, threads, segments, files left behind", "none".to_owned());
    }
}

/// A census in words.
pub(crate) fn words(census: &Census) -> String {
    let Census { resident_kib, descriptors, segments, threads } = census;
    format!("{} MiB, {descriptors} descriptors, {segments} segments, {threads} threads", resident_kib / 1024)
}

/// The slope of resident memory by least squares; none of fewer than three samples.
fn slope(samples: &[Sample]) -> Option<f64> {
    let count = samples.len() as f64;
    let points: Vec<(f64, f64)> = samples
        .iter()
        .map(|sample| (sample.at.as_secs_f64() / 60.0, sample.here.resident_kib as f64))
        .collect();
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let (mut above, mut below) = (0.0, 0.0);
    for point in &points {
        above += (point.0 - x) * (point.1 - y);
        below += (point.0 - x) * (point.0 - x);
    }
    (samples.len() > 2 && below > 0.0).then(|| above / below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line_through_the_samples() {
        let sample = |(minutes, resident_kib): (u64, u64)| Sample {
            at: Duration::from_secs(60 * minutes),
            here: Census { resident_kib, ..Census::default() },
        };
        let samples: Vec<Sample> = [(0, 100), (1, 120), (2, 140), (4, 180)].map(sample).to_vec();
        assert!((slope(&samples).unwrap() - 20.0).abs() < 1e-9);
        assert_eq!(slope(&samples[..2]), None);
    }
}
