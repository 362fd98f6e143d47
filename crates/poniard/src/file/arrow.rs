//! Arrow's and Parquet's files (feature `arrow`).

use crate::cluster::memory_usage;
use crate::disk::error::{Reason, Unfit};
use crate::disk::format::Format;
use crate::disk::source::{Source, Target};
use crate::file::table::{Table, buffer_of, guarded, of_stream};
use arrow_array::RecordBatchReader;
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_ipc::{Block, root_as_footer};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Type};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use poniard_store::Buf;
use std::sync::Arc;

/// Arrow's IPC format for files (Feather 2): for a [`Table`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ArrowIpc;

/// Arrow's IPC format for streams: for a [`Table`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ArrowStream;

/// Parquet: for a [`Table`]. Written with Snappy; columns compressed by that or not at all are read. A file that says that it
/// grows to more than 1,000 times its size, and to more than the memory budget, is refused before it is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parquet;

/// How many times the size of a file its contents may have: what grows more is made to fill memory.
const RATIO_MAX: u64 = 1000;

impl Format<Table> for ArrowIpc {
    fn name(&self) -> &str {
        "arrow"
    }

    fn read(&self, source: &Source) -> Result<Table, Reason> {
        let bytes = source.bytes()?;
        guarded(|| of_file(bytes)).map_err(Unfit::damaged)
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
        let bytes = source.bytes()?;
        guarded(|| of_stream(bytes)).map_err(Unfit::damaged)
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
            let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
            check_growth(builder.metadata().row_groups().iter().map(declared_bytes).sum(), source)?;
            let reader = builder.build()?;
            let (schema, mut batches, mut bytes) = (reader.schema(), Vec::new(), 0);
            for batch in reader {
                let batch = batch?;
                // Texts may grow though their lengths are not told before.
                bytes += batch.get_array_memory_size() as u128;
                check_growth(bytes, source)?;
                batches.push(batch);
            }
            Ok(Table::new(schema, batches)?)
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

/// Whether contents of so many bytes are no more than a file of this size may stand for.
fn check_growth(bytes: u128, source: &Source) -> Result<(), Reason> {
    let (own, budget) = (source.len(), memory_usage().budget_bytes);
    if bytes <= u128::from(RATIO_MAX) * u128::from(own) || bytes <= u128::from(budget) {
        return Ok(());
    }
    let what = format!(
        "it says that it grows to {bytes} bytes, more than {RATIO_MAX} times its own {own} and more than the \
         memory budget of {budget}"
    );
    Err(what.into())
}

/// Bytes of memory that some rows say they take: a few bytes of a file may stand for any number of equal values.
fn declared_bytes(rows: &RowGroupMetaData) -> u128 {
    let bits = |column: &ColumnChunkMetaData| {
        let values = column.num_values().max(rows.num_rows());
        let bits = match column.column_type() {
            Type::BOOLEAN => 1,
            Type::INT32 | Type::FLOAT => 32,
            Type::INT64 | Type::DOUBLE => 64,
            Type::INT96 => 96,
            // The place of its end.
            Type::BYTE_ARRAY => 32,
            Type::FIXED_LEN_BYTE_ARRAY => {
                8 * u128::try_from(column.column_descr().type_length()).unwrap_or(0)
            }
        };
        u128::try_from(values).unwrap_or(0) * bits
    };
    let unpacked = u128::try_from(rows.total_byte_size()).unwrap_or(0);
    unpacked.max(rows.columns().iter().map(bits).sum::<u128>() / 8)
}

/// Bytes of an Arrow file: how long its footer is, and a magic number.
const END_BYTES: usize = 10;

/// The table in an Arrow file that is in memory: the columns lie where the file lies, and nothing is allocated for them,
/// whatever the lengths in the file say.
fn of_file(bytes: Buf) -> Result<Table, Reason> {
    let file = buffer_of(bytes);
    let end = file.len().checked_sub(END_BYTES).ok_or("it is shorter than the end of such a file")?;
    let footer_len = read_footer_length(file[end..].try_into()?)?;
    let start = end.checked_sub(footer_len).ok_or("its footer is longer than the file")?;
    let footer =
        root_as_footer(&file[start..end]).map_err(|error| format!("its footer is damaged: {error:?}"))?;
    let schema = Arc::new(try_fb_to_schema(footer.schema().ok_or("its footer has no schema")?)?);
    let mut decoder = FileDecoder::new(schema.clone(), footer.version());
    for block in footer.dictionaries().iter().flatten() {
        decoder.read_dictionary(block, &slice(&file, block)?)?;
    }
    let blocks = footer.recordBatches().ok_or("its footer has no list of batches")?;
    let mut batches = Vec::new();
    for block in blocks {
        batches.extend(decoder.read_record_batch(block, &slice(&file, block)?)?);
    }
    Ok(Table::new(schema, batches)?)
}

/// The part of the file that a block of its footer is.
fn slice(file: &Buffer, block: &Block) -> Result<Buffer, Reason> {
    let number = |number: i64| usize::try_from(number).ok();
    let (start, head) = (number(block.offset()), number(block.metaDataLength().into()));
    let len = head.zip(number(block.bodyLength())).and_then(|(head, body)| head.checked_add(body));
    let part =
        start.zip(len).filter(|(start, len)| start.checked_add(*len).is_some_and(|end| end <= file.len()));
    let (start, len) = part.ok_or("a block of its footer is not within the file")?;
    Ok(file.slice_with_length(start, len))
}
