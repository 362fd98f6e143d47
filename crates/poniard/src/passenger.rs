//! How handles travel: beside the bytes of the value that holds them.

use poniard_model::codec::{carried, carry};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::sync::Arc;

/// Writes the number under which a clone of the handle travels.
pub(crate) fn write<H, S>(handle: &H, serializer: S) -> Result<S::Ok, S::Error>
where
    H: Clone + Send + Sync + 'static,
    S: Serializer,
{
    match carry(Arc::new(handle.clone())) {
        Some(number) => number.serialize(serializer),
        None => {
            Err(ser::Error::custom("a task handle can only be passed between tasks, not written elsewhere"))
        }
    }
}

/// Takes the handle that travels under the number that is read.
pub(crate) fn read<'de, H, D>(deserializer: D) -> Result<H, D::Error>
where
    H: Clone + Send + Sync + 'static,
    D: Deserializer<'de>,
{
    let passenger = carried(u32::deserialize(deserializer)?);
    let handle = passenger.and_then(|handle| handle.downcast_ref::<H>().cloned());
    handle.ok_or_else(|| de::Error::custom("these bytes came without the task handle that belongs to them"))
}
