//! How handles travel: beside the bytes of the value that holds them.

use poniard_model::Data;
use poniard_model::codec::{Thing, carried, carry};
use poniard_pool::Handle;
use poniard_pool::travel::{Stranger, Traveller};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::sync::Arc;

/// Writes the number under which a clone of the handle travels.
pub(crate) fn write<H, S>(handle: &H, serializer: S) -> Result<S::Ok, S::Error>
where
    H: Clone + Send + Sync + 'static,
    S: Serializer,
{
    write_thing(Arc::new(handle.clone()), serializer)
}

/// The same for the handle of a task, which other processes can have as well.
pub(crate) fn write_task<T: Data, S: Serializer>(
    handle: &Handle<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    write_thing(Arc::new(handle.traveller()), serializer)
}

fn write_thing<S: Serializer>(thing: Thing, serializer: S) -> Result<S::Ok, S::Error> {
    match carry(thing) {
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
    handle.ok_or_else(lost)
}

/// The same for the handle of a task, which may be another process's.
pub(crate) fn read_task<'de, T: Data, D: Deserializer<'de>>(deserializer: D) -> Result<Handle<T>, D::Error> {
    let passenger = carried(u32::deserialize(deserializer)?).ok_or_else(lost)?;
    let handle = match passenger.downcast_ref::<Traveller>() {
        Some(traveller) => traveller.handle(),
        None => passenger.downcast_ref::<Stranger>().and_then(Stranger::meet),
    };
    handle.ok_or_else(lost)
}

fn lost<E: de::Error>() -> E {
    E::custom("these bytes came without the task handle that belongs to them")
}
