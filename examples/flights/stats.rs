//! Statistics of delays that can be merged without losing exactness.

use serde::{Deserialize, Serialize};

/// Hours of a day.
pub(crate) const HOURS: usize = 24;
/// A flight later than this is very late.
pub(crate) const LATE_MINUTES: i16 = 60;

/// The delays of each hour of the day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DayStats {
    hours: [HourStats; HOURS],
}

impl DayStats {
    /// Counts a flight.
    pub(crate) fn add(&mut self, hour: u8, delay_minutes: i16) {
        self.hours[usize::from(hour)].add(delay_minutes);
    }

    /// The flights of both.
    pub(crate) fn merged(mut self, other: &DayStats) -> DayStats {
        for (hour, others) in self.hours.iter_mut().zip(&other.hours) {
            hour.merge(others);
        }
        self
    }

    /// The statistics, hour by hour.
    pub(crate) fn rows(&self) -> Vec<HourRow> {
        self.hours.iter().enumerate().map(|(hour, stats)| stats.row(hour as u8)).collect()
    }
}

/// How many flights of one hour had each delay, to the minute: every statistic follows from that, exactly.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct HourStats {
    /// The delay that `flights[0]` counts.
    earliest_minutes: i16,
    /// `flights[i]`: those that were `earliest_minutes + i` minutes late.
    flights: Vec<u32>,
}

impl HourStats {
    /// Counts a flight.
    pub(crate) fn add(&mut self, delay_minutes: i16) {
        self.reach(delay_minutes, delay_minutes);
        let place = self.place(delay_minutes);
        self.flights[place] += 1;
    }

    /// Adds the flights of another part of the same hour.
    pub(crate) fn merge(&mut self, other: &HourStats) {
        let Some((last, _)) = other.delays().last() else { return };
        self.reach(other.earliest_minutes, last);
        let first = self.place(other.earliest_minutes);
        for (sum, flights) in self.flights[first..].iter_mut().zip(&other.flights) {
            *sum += flights;
        }
    }

    /// What a reader wants to know.
    pub(crate) fn row(&self, hour: u8) -> HourRow {
        HourRow {
            hour,
            flights: self.flights.iter().map(|&flights| u64::from(flights)).sum(),
            delay_sum_minutes: self
                .delays()
                .map(|(minutes, flights)| i64::from(minutes) * i64::from(flights))
                .sum(),
            p90_minutes: self.percentile(90),
            late: self
                .delays()
                .filter(|(minutes, _)| *minutes > LATE_MINUTES)
                .map(|(_, n)| u64::from(n))
                .sum(),
        }
    }

    /// The smallest delay that at least `percent` % of the flights do not exceed; `None` without flights.
    fn percentile(&self, percent: u64) -> Option<i16> {
        let all: u64 = self.flights.iter().map(|&flights| u64::from(flights)).sum();
        let wanted = (all * percent).div_ceil(100);
        let mut seen = 0;
        let reaches = |(_, flights): &(i16, u32)| {
            seen += u64::from(*flights);
            seen >= wanted
        };
        self.delays().find(reaches).map(|(minutes, _)| minutes)
    }

    /// Each delay between the earliest and the latest, with its number of flights.
    fn delays(&self) -> impl Iterator<Item = (i16, u32)> {
        (self.earliest_minutes..=i16::MAX).zip(self.flights.iter().copied())
    }

    /// Makes room for delays from `from` to `to` minutes.
    fn reach(&mut self, from: i16, to: i16) {
        if self.flights.is_empty() {
            self.earliest_minutes = from;
        }
        if from < self.earliest_minutes {
            let missing = usize::from(self.earliest_minutes.abs_diff(from));
            self.flights.splice(..0, std::iter::repeat_n(0, missing));
            self.earliest_minutes = from;
        }
        let len = self.place(to) + 1;
        if len > self.flights.len() {
            self.flights.resize(len, 0);
        }
    }

    /// Where a delay that is not before the earliest is counted.
    fn place(&self, delay_minutes: i16) -> usize {
        usize::from(delay_minutes.abs_diff(self.earliest_minutes))
    }
}

/// The statistics of one hour.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HourRow {
    pub(crate) hour: u8,
    pub(crate) flights: u64,
    pub(crate) delay_sum_minutes: i64,
    /// Nine of ten flights were not later than this; `None` without flights.
    pub(crate) p90_minutes: Option<i16>,
    /// Flights that were more than [`LATE_MINUTES`] late.
    pub(crate) late: u64,
}

impl HourRow {
    /// The mean delay; `None` without flights.
    pub(crate) fn mean_minutes(&self) -> Option<f64> {
        (self.flights > 0).then(|| self.delay_sum_minutes as f64 / self.flights as f64)
    }

    /// The share of very late flights, from 0 to 1; `None` without flights.
    pub(crate) fn late_share(&self) -> Option<f64> {
        (self.flights > 0).then(|| self.late as f64 / self.flights as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(delays: &[i16]) -> HourStats {
        let mut stats = HourStats::default();
        delays.iter().for_each(|&minutes| stats.add(minutes));
        stats
    }

    #[test]
    fn merging_parts_is_counting_all_at_once() {
        let all = [7, -3, 500, 7, 61, i16::MIN, 60, i16::MAX];
        for cut in 0..=all.len() {
            let mut merged = stats(&all[..cut]);
            merged.merge(&stats(&all[cut..]));
            assert_eq!(merged.row(5), stats(&all).row(5), "cut at {cut}");
        }
    }

    #[test]
    fn a_percentile_is_the_smallest_delay_that_reaches_it() {
        assert_eq!(stats(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).percentile(90), Some(9));
        assert_eq!(stats(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]).percentile(90), Some(10));
        assert_eq!(stats(&[-5]).percentile(90), Some(-5));
        assert_eq!(stats(&[]).percentile(90), None);
    }

    #[test]
    fn an_hour_is_late_past_sixty_minutes() {
        let row = stats(&[60, 61, -10, 1444]).row(0);
        assert_eq!((row.flights, row.late, row.delay_sum_minutes), (4, 2, 1555));
        assert_eq!(row.late_share(), Some(0.5));
    }
}
