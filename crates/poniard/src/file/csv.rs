//! Tables as text, a record a line (feature `csv`).

use crate::disk::error::{Reason, Unfit};
use crate::disk::format::Format;
use crate::disk::source::{Source, Target};
use serde::{Serialize, de::DeserializeOwned};

/// Records as lines of fields with commas between, after a line with the names of the fields: for `Vec<R>`, where `R` is
/// a struct of numbers, texts, flags and `Option`s of these.
///
/// ```
/// use poniard::{Csv, prelude::*};
/// #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct Town { name: String, people: u64 }
/// # let path = std::env::temp_dir().join(format!("poniard-{}.csv", std::process::id()));
/// std::fs::write(&path, "people,name\n26000,\"Norwich, CT\"\n").unwrap();
/// let towns = File::<Vec<Town>>::open(&path)?.format(Csv);
/// assert_eq!(towns.fetch()?[0].name, "Norwich, CT");
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), TaskError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Csv;

/// [`Csv`] with another byte between the fields.
#[derive(Clone, Copy, Debug)]
pub struct Separated(u8);

impl Csv {
    /// With `byte` between the fields: `b'\t'`, `b';'`.
    pub fn separated_by(self, byte: u8) -> Separated {
        Separated(byte)
    }
}

impl<R: Serialize + DeserializeOwned + 'static> Format<Vec<R>> for Csv {
    fn name(&self) -> &str {
        "csv"
    }

    fn read(&self, source: &Source) -> Result<Vec<R>, Reason> {
        Separated(b',').read(source)
    }

    fn write(&self, records: &Vec<R>, target: &mut Target) -> Result<(), Reason> {
        Separated(b',').write(records, target)
    }
}

impl<R: Serialize + DeserializeOwned + 'static> Format<Vec<R>> for Separated {
    fn name(&self) -> &str {
        "csv"
    }

    fn read(&self, source: &Source) -> Result<Vec<R>, Reason> {
        let reader = csv::ReaderBuilder::new().delimiter(self.0).from_reader(source.reader()?);
        let records: Result<Vec<R>, csv::Error> = reader.into_deserialize().collect();
        records.map_err(|error| {
            let text = match error.kind() {
                csv::ErrorKind::Deserialize { pos, err } => {
                    format!("line {}: {err}", pos.as_ref().map_or(0, csv::Position::line))
                }
                _ => error.to_string(),
            };
            match error.into_kind() {
                csv::ErrorKind::Io(error) => error.into(),
                _ => Unfit::other(text),
            }
        })
    }

    fn write(&self, records: &Vec<R>, target: &mut Target) -> Result<(), Reason> {
        let mut writer = csv::WriterBuilder::new().delimiter(self.0).from_writer(target);
        for record in records {
            writer.serialize(record)?;
        }
        Ok(writer.flush()?)
    }
}
