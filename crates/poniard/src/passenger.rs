//! How handles travel: beside the bytes of the value that holds them.

use poniard_model::codec::{carried, carry};
use poniard_model::{Data, Scope};
use poniard_pool::travel::{DatumStranger, DatumTraveller, Stranger, Traveller, Whereabouts};
use poniard_pool::{Datum, Handle};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::sync::Arc;

/// Writes the number under which the handle of a task travels.
pub(crate) fn write_task<T: Data, S: Serializer>(
    handle: &Handle<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match carry(Arc::new(handle.traveller())) {
        Some(number) => number.serialize(serializer),
        None => {
            Err(ser::Error::custom("a task handle can only be passed between tasks, not written elsewhere"))
        }
    }
}

/// Takes the handle that travels under the number that is read; it may be of another process's task.
pub(crate) fn read_task<'de, T: Data, D: Deserializer<'de>>(deserializer: D) -> Result<Handle<T>, D::Error> {
    let passenger = carried(u32::deserialize(deserializer)?).ok_or_else(lost)?;
    let handle = match passenger.downcast_ref::<Traveller>() {
        Some(traveller) => traveller.handle(),
        None => passenger.downcast_ref::<Stranger>().and_then(Stranger::meet),
    };
    handle.ok_or_else(lost)
}

/// Writes the number under which a datum travels, and where it lives if that is not just in its process.
pub(crate) fn write_datum<T, S>(datum: &Datum<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Send + Sync + 'static,
    S: Serializer,
{
    let traveller = datum.traveller();
    let is_lost = datum.home_elsewhere().is_some() && matches!(traveller.lives(), Whereabouts::Here(_));
    // What is lost is at its home no more: it goes on as one that has failed here.
    let lives = datum.lives().filter(|_| !is_lost).and_then(|lives| lives.downcast_ref::<Scope>());
    let Some(number) = carry(Arc::new(traveller)) else {
        return Err(ser::Error::custom("a mutable can only be passed between tasks, not written elsewhere"));
    };
    (number, lives).serialize(serializer)
}

/// Takes the datum that travels under the number that is read; it may be another process's.
pub(crate) fn read_datum<'de, T, D>(deserializer: D) -> Result<Datum<T>, D::Error>
where
    T: Send + Sync + 'static,
    D: Deserializer<'de>,
{
    let (number, lives): (u32, Option<Scope>) = Deserialize::deserialize(deserializer)?;
    let passenger = carried(number).ok_or_else(lost)?;
    let datum = match passenger.downcast_ref::<DatumTraveller>() {
        Some(traveller) => traveller.datum(),
        None => passenger.downcast_ref::<DatumStranger>().and_then(|stranger| {
            let home = Scope::worker(stranger.origin().owner);
            // What fits several workers where it was made is there alone.
            let lives = match lives {
                Some(lives) if lives != home => lives & home,
                _ => home,
            };
            stranger.meet(Some(Arc::new(lives)))
        }),
    };
    datum.ok_or_else(lost)
}

fn lost<E: de::Error>() -> E {
    E::custom("these bytes came without the task handle that belongs to them")
}
