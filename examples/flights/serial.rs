//! The same statistics by a plain loop and by sorting: slow, short, and written without a look at `stats`.

use crate::flights::Flights;
use crate::stats::{HOURS, HourRow, LATE_MINUTES};

/// The statistics, hour by hour.
pub(crate) fn rows(flights: &Flights) -> Vec<HourRow> {
    let mut delays_by_hour = vec![Vec::new(); HOURS];
    for (hour, delay_minutes) in flights.iter() {
        delays_by_hour[usize::from(hour)].push(delay_minutes);
    }
    delays_by_hour.into_iter().enumerate().map(|(hour, delays)| row(hour as u8, delays)).collect()
}

fn row(hour: u8, mut delays: Vec<i16>) -> HourRow {
    delays.sort_unstable();
    let rank = (9 * delays.len()).div_ceil(10);
    HourRow {
        hour,
        flights: delays.len() as u64,
        delay_sum_minutes: delays.iter().map(|&minutes| i64::from(minutes)).sum(),
        p90_minutes: rank.checked_sub(1).map(|place| delays[place]),
        late: delays.iter().filter(|&&minutes| minutes > LATE_MINUTES).count() as u64,
    }
}
