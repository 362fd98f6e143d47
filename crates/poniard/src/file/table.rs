//! Tables of Arrow as values (feature `arrow`).

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Schema, SchemaRef};
use poniard_store::{Blob, Buf};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A table of Arrow: batches of rows with one schema. Clones share the columns.
///
/// Between processes it travels as an Arrow stream.
///
/// ```
/// use arrow_array::{Int32Array, RecordBatch};
/// use poniard::{ArrowIpc, Table, prelude::*};
/// use std::sync::Arc;
/// let column = Arc::new(Int32Array::from(vec![1, 2, 3]));
/// let table = Table::from(RecordBatch::try_from_iter([("a", column as _)])?);
/// # let path = std::env::temp_dir().join(format!("poniard-{}.arrow", std::process::id()));
/// let file = to_file_with(&table, &path, ArrowIpc)?;
/// assert_eq!(spawn!((|table: &Table| table.rows())(&file)).fetch()?, 3);
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Table {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Table {
    /// A table of batches, each with this schema.
    ///
    /// # Errors
    /// When one has another schema.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Table, ArrowError> {
        let own = |batch: &&RecordBatch| batch.schema_ref() != &schema;
        match batches.iter().find(own) {
            Some(other) => Err(ArrowError::SchemaError(format!(
                "a batch has the schema {}, and the table {schema}",
                other.schema_ref()
            ))),
            None => Ok(Table { schema, batches }),
        }
    }

    /// What the columns are.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The batches.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// The batches, by value.
    pub fn into_batches(self) -> Vec<RecordBatch> {
        self.batches
    }

    /// Rows of all batches.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

impl From<RecordBatch> for Table {
    fn from(batch: RecordBatch) -> Table {
        Table { schema: batch.schema(), batches: vec![batch] }
    }
}

impl Default for Table {
    /// No columns and no rows.
    fn default() -> Table {
        Table { schema: Arc::new(Schema::empty()), batches: Vec::new() }
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let write = || {
            let mut writer = StreamWriter::try_new(Vec::new(), &self.schema)?;
            self.batches.iter().try_for_each(|batch| writer.write(batch))?;
            writer.into_inner()
        };
        let bytes: Result<Vec<u8>, ArrowError> = write();
        Blob::from(bytes.map_err(ser::Error::custom)?).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Table, D::Error> {
        let bytes = Blob::deserialize(deserializer)?;
        guarded(|| of_stream(bytes.into_buf())).map_err(de::Error::custom)
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({} rows in {} batches: {})", self.rows(), self.batches.len(), self.schema)
    }
}

/// The same bytes as a buffer of Arrow.
pub(crate) fn buffer_of(bytes: Buf) -> Buffer {
    Buffer::from(bytes::Bytes::from_owner(bytes))
}

/// The table in a stream that is in memory: the columns lie where the stream lies.
pub(crate) fn of_stream(bytes: Buf) -> Result<Table, ArrowError> {
    let mut stream = buffer_of(bytes);
    let mut decoder = StreamDecoder::new();
    let mut batches = Vec::new();
    while !stream.is_empty() {
        batches.extend(decoder.decode(&mut stream)?);
    }
    decoder.finish()?;
    let schema = decoder.schema().ok_or_else(|| ArrowError::IpcError("there is no schema".to_owned()))?;
    Table::new(schema, batches)
}

/// Calls a reader of bytes that may be damaged: it panics on some of them, which is an error like the others.
pub(crate) fn guarded<R, E: fmt::Display>(read: impl FnOnce() -> Result<R, E>) -> Result<R, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(payload) => Err(format!("the reader panicked: {}", text_of(&*payload))),
    }
}

fn text_of(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".to_owned())
}
