//! When to fly: delays by hour of the day, of 200,000 flights, as a table and as a chart.
//!
//! The flights are counted in parts, a task for each; the counts are merged two by two, by tasks that take the handles of
//! others; and a plain loop over all flights checks the result.
#![forbid(unsafe_code)]

mod arguments;
mod chart;
mod flights;
mod serial;
mod stats;
mod svg;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use poniard::prelude::*;
use poniard::{ArrowIpc, FileError, Table};

use crate::arguments::Arguments;
use crate::flights::{Flights, ReadError};
use crate::stats::{DayStats, HourRow};

/// Facts about the packaged file, see `data/README.md`.
const PACKAGED_FLIGHTS: u64 = 200_000;
const PACKAGED_DELAY_MINUTES: i64 = 1_500_159;
const PACKAGED_SOURCE: &str = "US Bureau of Transportation Statistics, by way of vega-datasets 3.2.1.";

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("flights: {wrong}");
            return ExitCode::from(2);
        }
    };
    if arguments.help {
        print!("{}", arguments::HELP);
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flights: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    // The first spawn would start the runtime too, but where PONIARD_THREADS makes no sense this line says so by itself.
    let mut cluster = Cluster::from_env();
    if let Some(workers) = arguments.workers {
        cluster = cluster.workers(workers);
    }
    let _cluster = cluster.start()?;
    let path = &arguments.data;
    let file = File::<Table>::open(path).map_err(|error| ReadError::of_file(&error, path))?.format(ArrowIpc);
    let flights = spawn!(Flights::of(&file, path.clone())?);
    let all = flights.fetch_ref().map_err(|error| in_words(error, path))?;

    let start = Instant::now();
    let (day, tasks) = spawn_day(&flights, arguments.parts);
    let rows = day.fetch_ref()?.rows();
    let by_tasks = start.elapsed();

    let start = Instant::now();
    let serial_rows = serial::rows(&all);
    let by_loop = start.elapsed();

    print_table(&rows);
    check(&rows, &serial_rows, arguments)?;
    print_times(by_tasks, tasks, by_loop);
    Ok(draw(&rows, arguments)?)
}

/// Spawns the whole graph; gives the handle of its last task, and the number of tasks.
fn spawn_day(flights: &DTask<Flights>, parts: usize) -> (DTask<DayStats>, usize) {
    let mut days: Vec<DTask<DayStats>> =
        (0..parts).map(|part| spawn!(count_part(flights, part, parts), name = "count")).collect();
    let mut tasks = days.len();
    while days.len() > 1 {
        tasks += days.len() / 2;
        days = merge_in_pairs(days);
    }
    (days.swap_remove(0), tasks)
}

/// The statistics of one part of the flights.
fn count_part(flights: &Flights, part: usize, parts: usize) -> DayStats {
    let mut day = DayStats::default();
    for (hour, delay_minutes) in flights.part(part, parts) {
        day.add(hour, delay_minutes);
    }
    day
}

/// Halves the number of handles. The left one of a pair is handed over and its result is added to in place; the right one
/// is only looked at.
fn merge_in_pairs(days: Vec<DTask<DayStats>>) -> Vec<DTask<DayStats>> {
    let mut merged = Vec::new();
    let mut days = days.into_iter();
    while let Some(left) = days.next() {
        merged.push(match days.next() {
            Some(right) => spawn!(DayStats::merged(left, &right), name = "merge"),
            None => left,
        });
    }
    merged
}

fn print_table(rows: &[HourRow]) {
    println!("hour      flights   mean delay   90th percentile   over 60 min late");
    for row in rows {
        print!("{:>2}:00 {:>12}", row.hour, row.flights);
        match (row.mean_minutes(), row.p90_minutes, row.late_share()) {
            (Some(mean), Some(p90), Some(late)) => {
                println!(" {mean:>8.1} min {p90:>13} min {:>16.1} %", 100.0 * late);
            }
            _ => println!("            -                 -                  -"),
        }
    }
}

/// Compares with the plain loop, and with what is known of the packaged file.
fn check(rows: &[HourRow], serial_rows: &[HourRow], arguments: &Arguments) -> Result<(), String> {
    if let Some((row, serial)) = rows.iter().zip(serial_rows).find(|(row, serial)| row != serial) {
        return Err(format!("the tasks and the serial pass differ: {row:?} and {serial:?}; this is a bug"));
    }
    let flights: u64 = rows.iter().map(|row| row.flights).sum();
    let delay_minutes: i64 = rows.iter().map(|row| row.delay_sum_minutes).sum();
    println!("\n{flights} flights, {delay_minutes} minutes of delay in all");
    let packaged = (PACKAGED_FLIGHTS, PACKAGED_DELAY_MINUTES);
    if arguments.data == arguments::packaged_data() && (flights, delay_minutes) != packaged {
        return Err(format!("these are not the totals of the packaged file, {packaged:?}; this is a bug"));
    }
    println!("checked against a serial pass: equal");
    Ok(())
}

fn print_times(by_tasks: Duration, tasks: usize, by_loop: Duration) {
    let milliseconds = |time: Duration| 1e3 * time.as_secs_f64();
    println!("task graph:  {:>8.2} ms, {tasks} tasks", milliseconds(by_tasks));
    println!("serial pass: {:>8.2} ms", milliseconds(by_loop));
}

fn draw(rows: &[HourRow], arguments: &Arguments) -> Result<(), String> {
    let source = match arguments.data == arguments::packaged_data() {
        true => PACKAGED_SOURCE.to_owned(),
        false => arguments.data.display().to_string(),
    };
    let path = arguments.svg.display();
    std::fs::write(&arguments.svg, chart::svg(rows, &source))
        .map_err(|error| format!("cannot write the chart to {path}: {error}; choose a file with --svg"))?;
    println!("chart: {path}");
    Ok(())
}

/// What was wrong with the file is clearer to a person than which task found it.
fn in_words(error: TaskError, path: &Path) -> Box<dyn Error> {
    match (error.downcast_ref::<ReadError>(), error.downcast_ref::<FileError>()) {
        (Some(read), _) => Box::new(read.clone()),
        (_, Some(file)) => Box::new(ReadError::of_file(file, path)),
        _ => Box::new(error),
    }
}
