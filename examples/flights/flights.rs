//! The flights, as the columns of the file.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int16Type};
use arrow_array::{Array, ArrowPrimitiveType, RecordBatch};
use poniard::{FileError, Table};
use serde::{Deserialize, Serialize};

use crate::stats::HOURS;

/// What is looked at of each flight, in the order of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Flights {
    /// Negative when early.
    delay_minutes: Vec<i16>,
    /// The hour of the day, below [`HOURS`]. As long as `delay_minutes`.
    hour: Vec<u8>,
}

impl Flights {
    /// Takes the columns `delay` and `time` of a table, which was read from `path`.
    pub(crate) fn of(table: &Table, path: PathBuf) -> Result<Flights, ReadError> {
        let mut flights = Flights::default();
        let columns = table.batches().iter().try_for_each(|batch| flights.append(batch));
        columns.map(|()| flights).map_err(|reason| ReadError { path, reason, advice: ADVICE_COLUMNS })
    }

    /// Hour and delay of each flight of the file.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u8, i16)> {
        self.part(0, 1)
    }

    /// Hour and delay of each flight of one of `parts` parts, which differ in length by one flight at most.
    pub(crate) fn part(&self, part: usize, parts: usize) -> impl Iterator<Item = (u8, i16)> {
        let len = self.hour.len();
        let range = len * part / parts..len * (part + 1) / parts;
        self.hour[range.clone()].iter().copied().zip(self.delay_minutes[range].iter().copied())
    }

    fn append(&mut self, batch: &RecordBatch) -> Result<(), String> {
        self.delay_minutes.extend(column::<Int16Type>(batch, "delay")?);
        for time_hours in column::<Float32Type>(batch, "time")? {
            if !(0.0..HOURS as f32).contains(time_hours) {
                return Err(format!("column `time` holds {time_hours}, which is no hour of the day"));
            }
            self.hour.push(*time_hours as u8);
        }
        Ok(())
    }
}

/// The values of a column that must be there, have this type and have no gaps.
fn column<'a, T: ArrowPrimitiveType>(batch: &'a RecordBatch, name: &str) -> Result<&'a [T::Native], String> {
    let wanted = T::DATA_TYPE;
    let Some(column) = batch.column_by_name(name) else {
        return Err(format!("it has no column `{name}` ({wanted})"));
    };
    let Some(values) = column.as_primitive_opt::<T>() else {
        return Err(format!("column `{name}` is of type {}, not {wanted}", column.data_type()));
    };
    match values.null_count() {
        0 => Ok(values.values()),
        gaps => Err(format!("column `{name}` has {gaps} missing values")),
    }
}

const ADVICE_PATH: &str = "give the path of an Arrow file with --data, or leave it out for the packaged one";
const ADVICE_FORMAT: &str = "an Arrow IPC file is needed (not a stream, not Parquet)";
const ADVICE_COLUMNS: &str = "it needs `delay` (Int16, minutes) and `time` (Float32, hour of the day)";

/// Why there are no flights, and what to do.
#[derive(Clone, Debug)]
pub(crate) struct ReadError {
    path: PathBuf,
    reason: String,
    advice: &'static str,
}

impl ReadError {
    /// The file itself could not be opened or read.
    pub(crate) fn of_file(error: &FileError, path: &Path) -> ReadError {
        let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let advice = if error.is_damaged() { ADVICE_FORMAT } else { ADVICE_PATH };
        ReadError { path: path.to_owned(), reason, advice }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReadError { path, reason, advice } = self;
        write!(f, "cannot read flights from {}: {reason}; {advice}", Path::display(path))
    }
}

impl Error for ReadError {}
