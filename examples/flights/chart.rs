//! The chart: mean and 90th percentile of the delay over the hours, and below them the share of very late flights.

use crate::stats::{HOURS, HourRow, LATE_MINUTES};
use crate::svg::{Anchor, Font, Svg};

/// Draws the statistics. `source` says where the flights are from.
pub(crate) fn svg(rows: &[HourRow], source: &str) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT);
    let slots: Vec<Slot<'_>> = slots(rows);
    heading(&mut svg, rows);
    sparse_hours(&mut svg, &slots);
    delays(&mut svg, &slots);
    late_shares(&mut svg, &slots);
    hours(&mut svg, &slots);
    footer(&mut svg, source);
    svg.finish(TITLE)
}

const TITLE: &str = "Flight delays by hour of the day";
/// Few flights leave after midnight, so the day begins here and its latest hours stand at the right.
const FIRST_HOUR: usize = 5;
/// Below this a mean says more about single flights than about the hour.
const FLIGHTS_MIN: u64 = 100;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 630.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
/// Top and bottom of the panel with the delays, and of the one with the shares.
const DELAYS: (f64, f64) = (136.0, 408.0);
const SHARES: (f64, f64) = (478.0, 546.0);
/// The part of an hour's width that its bar takes.
const BAR: f64 = 0.62;

const INK: &str = "#222222";
const QUIET: &str = "#6b6b6b";
const GRID: &str = "#e4e4e4";
const SPARSE: &str = "#f3f3f1";
const MEAN: &str = "#33658a";
const P90: &str = "#c2571a";
const LATE: &str = "#9a8c98";

const TEXT: Font = Font { size: 13.0, color: INK, bold: false, anchor: Anchor::Start };
const LABEL: Font = Font { size: 12.0, color: QUIET, bold: false, anchor: Anchor::Middle };

/// An hour and where it stands.
struct Slot<'a> {
    row: &'a HourRow,
    /// The middle of its width.
    x: f64,
}

impl Slot<'_> {
    const WIDTH: f64 = (WIDTH - LEFT - RIGHT) / HOURS as f64;

    fn is_drawn(&self) -> bool {
        self.row.flights >= FLIGHTS_MIN
    }

    /// A bar from the value 0 to `value`.
    fn bar(&self, svg: &mut Svg, scale: &Scale, value: f64, color: &str) {
        let (zero, end) = (scale.y(0.0), scale.y(value));
        let width = BAR * Slot::WIDTH;
        svg.rectangle((self.x - width / 2.0, zero.min(end)), (width, (zero - end).abs()), color);
    }
}

/// The hours from left to right.
fn slots(rows: &[HourRow]) -> Vec<Slot<'_>> {
    let mut slots = Vec::new();
    for row in rows {
        let place = (usize::from(row.hour) + HOURS - FIRST_HOUR) % HOURS;
        slots.push(Slot { row, x: LEFT + (place as f64 + 0.5) * Slot::WIDTH });
    }
    slots.sort_by(|left, right| left.x.total_cmp(&right.x));
    slots
}

/// From values to heights in a panel.
struct Scale {
    panel: (f64, f64),
    least: f64,
    most: f64,
    step: f64,
}

impl Scale {
    /// Holds 0 and all `values`, and ends at round numbers.
    fn over(values: impl Iterator<Item = f64>, panel: (f64, f64)) -> Scale {
        let (least, most) =
            values.fold((0.0, 0.0), |(least, most): (f64, f64), v| (least.min(v), most.max(v)));
        let step = round_step((most - least).max(1.0) / 6.0);
        // Bars that reach a little below zero do not need a whole step there.
        Scale {
            panel,
            least: (4.0 * least / step).floor() * step / 4.0,
            most: (most / step).ceil().max(1.0) * step,
            step,
        }
    }

    fn y(&self, value: f64) -> f64 {
        let (top, bottom) = self.panel;
        bottom - (value - self.least) / (self.most - self.least) * (bottom - top)
    }

    /// Round numbers from 0 or below up to the end of the scale.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (first, last) = ((self.least / self.step).ceil() as i64, (self.most / self.step).round() as i64);
        (first..=last).map(|tick| tick as f64 * self.step)
    }
}

/// The smallest of 1, 2.5, 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.5, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|round| *round >= step)
        .unwrap_or(step)
}

fn heading(svg: &mut Svg, rows: &[HourRow]) {
    svg.text((LEFT, 44.0), Font { size: 24.0, bold: true, ..TEXT }, TITLE);
    let subtitle = Font { size: 14.5, color: QUIET, ..TEXT };
    svg.text((LEFT, 70.0), subtitle, &extremes(rows));
}

/// Where the mean is smallest and where it is largest.
fn extremes(rows: &[HourRow]) -> String {
    let means = || {
        rows.iter()
            .filter(|row| row.flights >= FLIGHTS_MIN)
            .filter_map(|row| Some((row.mean_minutes()?, row.hour)))
    };
    let least = means().min_by(|left, right| left.0.total_cmp(&right.0));
    let most = means().max_by(|left, right| left.0.total_cmp(&right.0));
    let flights = thousands(rows.iter().map(|row| row.flights).sum());
    match (least, most) {
        (Some((least, early)), Some((most, late))) => format!(
            "On average, flights around {early}:00 are {}, and those around {late}:00 {}. {flights} flights.",
            lateness(least),
            lateness(most)
        ),
        _ => format!("{flights} flights: too few in every hour."),
    }
}

fn lateness(minutes: f64) -> String {
    match minutes {
        minutes if minutes < 0.0 => format!("{:.0} min early", -minutes),
        minutes => format!("{minutes:.0} min late"),
    }
}

fn sparse_hours(svg: &mut Svg, slots: &[Slot<'_>]) {
    for run in
        slots.chunk_by(|left, right| left.is_drawn() == right.is_drawn()).filter(|run| !run[0].is_drawn())
    {
        let corner = (run[0].x - Slot::WIDTH / 2.0, DELAYS.0);
        svg.rectangle(corner, (run.len() as f64 * Slot::WIDTH, SHARES.1 - DELAYS.0), SPARSE);
    }
}

fn delays(svg: &mut Svg, slots: &[Slot<'_>]) {
    svg.text((LEFT, DELAYS.0 - 26.0), Font { bold: true, ..TEXT }, "Delay in minutes");
    svg.text((LEFT + 118.0, DELAYS.0 - 26.0), Font { color: MEAN, ..TEXT }, "\u{25a0} mean");
    let p90 = "\u{25cf} 90th percentile: nine of ten flights are not later than this";
    svg.text((LEFT + 182.0, DELAYS.0 - 26.0), Font { color: P90, ..TEXT }, p90);

    let drawn = || slots.iter().filter(|slot| slot.is_drawn());
    let p90 = |slot: &Slot<'_>| slot.row.p90_minutes.map(f64::from);
    let values = drawn().flat_map(|slot| [slot.row.mean_minutes(), p90(slot)]).flatten();
    let scale = Scale::over(values, DELAYS);
    grid(svg, &scale);
    for slot in drawn() {
        slot.bar(svg, &scale, slot.row.mean_minutes().unwrap_or(0.0), MEAN);
    }
    zero(svg, &scale);
    for run in slots.chunk_by(|left, right| left.is_drawn() && right.is_drawn()) {
        let run = run.iter().filter(|slot| slot.is_drawn());
        let points: Vec<_> = run.filter_map(|slot| Some((slot.x, scale.y(p90(slot)?)))).collect();
        svg.polyline(&points, 2.0, P90);
        points.iter().for_each(|point| svg.dot(*point, 3.4, P90));
    }
}

fn grid(svg: &mut Svg, scale: &Scale) {
    for tick in scale.ticks() {
        let y = scale.y(tick);
        svg.polyline(&[(LEFT, y), (WIDTH - RIGHT, y)], 1.0, GRID);
        svg.text((LEFT - 8.0, y + 4.0), Font { anchor: Anchor::End, ..LABEL }, &minus(&tick.to_string()));
    }
}

fn zero(svg: &mut Svg, scale: &Scale) {
    let y = scale.y(0.0);
    svg.polyline(&[(LEFT, y), (WIDTH - RIGHT, y)], 1.0, QUIET);
}

/// The values stand on the bars, so this panel has no axis.
fn late_shares(svg: &mut Svg, slots: &[Slot<'_>]) {
    let heading = format!("Flights more than {LATE_MINUTES} minutes late, in %");
    svg.text((LEFT, SHARES.0 - 30.0), Font { bold: true, ..TEXT }, &heading);
    let shares = || {
        slots.iter().filter(|slot| slot.is_drawn()).filter_map(|slot| Some((slot, slot.row.late_share()?)))
    };
    let most = shares().map(|(_, share)| share).fold(0.01, f64::max);
    let scale = Scale { panel: SHARES, least: 0.0, most, step: most };
    for (slot, share) in shares() {
        slot.bar(svg, &scale, share, LATE);
        let percent = 100.0 * share;
        let digits = usize::from(percent < 9.95);
        svg.text((slot.x, scale.y(share) - 5.0), LABEL, &format!("{percent:.digits$}"));
    }
    zero(svg, &scale);
}

fn hours(svg: &mut Svg, slots: &[Slot<'_>]) {
    for slot in slots {
        svg.text((slot.x, SHARES.1 + 18.0), LABEL, &slot.row.hour.to_string());
    }
    let x = (LEFT + WIDTH - RIGHT) / 2.0;
    svg.text((x, SHARES.1 + 38.0), Font { color: INK, ..LABEL }, "hour of the day");
}

fn footer(svg: &mut Svg, source: &str) {
    let font = Font { size: 11.5, color: QUIET, ..TEXT };
    let sparse = format!("Grey: fewer than {FLIGHTS_MIN} flights in the hour, not drawn.");
    svg.text((LEFT, HEIGHT - 16.0), font, &format!("Source: {source}"));
    svg.text((WIDTH - RIGHT, HEIGHT - 16.0), Font { anchor: Anchor::End, ..font }, &sparse);
}

/// With the sign that typographers use.
fn minus(number: &str) -> String {
    number.replace('-', "\u{2212}")
}

/// `200,000`
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(hour: u8, flights: u64, mean: i64) -> HourRow {
        HourRow {
            hour,
            flights,
            delay_sum_minutes: mean * flights as i64,
            p90_minutes: Some(50),
            late: flights / 10,
        }
    }

    #[test]
    fn heights_are_proportional_to_values() {
        let scale = Scale::over([-3.0, 146.0].into_iter(), (100.0, 400.0));
        let height = |value| scale.y(0.0) - scale.y(value);
        assert!((height(40.0) - 4.0 * height(10.0)).abs() < 1e-9);
        assert!(scale.y(146.0) >= 100.0 && scale.y(-3.0) <= 400.0);
        assert_eq!(scale.ticks().collect::<Vec<_>>(), [0.0, 25.0, 50.0, 75.0, 100.0, 125.0, 150.0]);
    }

    #[test]
    fn the_day_begins_in_the_morning_and_each_hour_has_its_place() {
        let rows: Vec<HourRow> = (0..24).map(|hour| row(hour, 200, 5)).collect();
        let hours: Vec<u8> = slots(&rows).iter().map(|slot| slot.row.hour).collect();
        assert_eq!(hours[..3], [5, 6, 7]);
        assert_eq!(hours[18..], [23, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn an_hour_with_few_flights_has_no_marks() {
        let dots = |flights| svg(&[row(7, flights, 5)], "here").matches("<circle").count();
        assert_eq!((dots(FLIGHTS_MIN - 1), dots(FLIGHTS_MIN)), (0, 1));
    }

    #[test]
    fn a_file_without_flights_still_has_a_chart() {
        assert!(svg(&[], "nowhere").contains("0 flights: too few"));
    }

    #[test]
    fn large_numbers_have_commas() {
        assert_eq!([7, 1444, 200_000].map(thousands), ["7", "1,444", "200,000"]);
    }
}
