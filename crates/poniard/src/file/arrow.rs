//! Arrow's and Parquet's files (feature `arrow`).

use crate::disk::error::{Reason, Unfit};
use crate::disk::format::Format;
use crate::disk::source::{Source, Target};
use crate::file::table::{Table, guarded};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

/// Arrow's IPC format for files (Feather 2): for a [`Table`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ArrowIpc;

/// Arrow's IPC format for streams: for a [`Table`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ArrowStream;

/// Parquet: for a [`Table`]. Written with Snappy; columns compressed by that or not at all are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parquet;

impl Format<Table> for ArrowIpc {
    fn name(&self) -> &str {
        "arrow"
    }

    fn read(&self, source: &Source) -> Result<Table, Reason> {
        let read = guarded(|| FileReader::try_new_buffered(source.file(), None).and_then(Table::of));
        read.map_err(Unfit::damaged)
    }

    fn write(&self, table: &Table, target: &mut Target) -> Result<(), Reason> {
        let mut writer = FileWriter::try_new(target, table.schema())?;
        table.batches().iter().try_for_each(|batch| writer.write(batch))?;
        Ok(writer.finish()?)
    }
}

impl Format<Table> for ArrowStream {
    fn name(&self) -> &str {
        "arrow stream"
    }

    fn read(&self, source: &Source) -> Result<Table, Reason> {
        let reader = source.reader()?;
        let read = guarded(|| StreamReader::try_new(reader, None).and_then(Table::of));
        read.map_err(Unfit::damaged)
    }

    fn write(&self, table: &Table, target: &mut Target) -> Result<(), Reason> {
        let mut writer = StreamWriter::try_new(target, table.schema())?;
        table.batches().iter().try_for_each(|batch| writer.write(batch))?;
        Ok(writer.finish()?)
    }
}

impl Format<Table> for Parquet {
    fn name(&self) -> &str {
        "parquet"
    }

    fn read(&self, source: &Source) -> Result<Table, Reason> {
        let file = source.file().try_clone()?;
        let read = guarded(|| -> Result<Table, Reason> {
            let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
            Ok(Table::of(reader)?)
        });
        read.map_err(Unfit::damaged)
    }

    fn write(&self, table: &Table, target: &mut Target) -> Result<(), Reason> {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut writer = ArrowWriter::try_new(target, table.schema().clone(), Some(properties))?;
        table.batches().iter().try_for_each(|batch| writer.write(batch))?;
        writer.close()?;
        Ok(())
    }
}
