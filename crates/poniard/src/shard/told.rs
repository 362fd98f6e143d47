//! Shards inside values: the handles of their pieces, and of what makes more.

use super::Shard;
use super::table::Root;
use crate::mutable::Mutable;
use crate::place::Home;
use poniard_model::{CauseTold, Scope, TaskError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A shard as it is written.
#[derive(Serialize, Deserialize)]
#[serde(bound = "T: Send + Sync + 'static")]
struct Told<T> {
    pieces: Vec<(Home, Mutable<T>)>,
    growth: Option<(Root<T>, (Scope, bool, bool))>,
    error: Option<CauseTold>,
}

impl<T: Send + Sync + 'static> Serialize for Shard<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let growth = self
            .pieces
            .growth()
            .map(|growth| (growth.within.clone(), growth.per_thread, growth.is_made_anywhere));
        let error = self.error.as_ref().map(|error| error.told_cause(&|_| None));
        Told { pieces: self.known(), growth: self.root.clone().zip(growth), error }.serialize(serializer)
    }
}

impl<'de, T: Send + Sync + 'static> Deserialize<'de> for Shard<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shard<T>, D::Error> {
        let Told::<T> { pieces, growth, error } = Told::deserialize(deserializer)?;
        let pieces = pieces.into_iter().map(|(home, piece)| (home, piece.datum().clone())).collect();
        let error = error.map(|told| TaskError::without_task(told.into_cause(&|_| None)));
        Ok(Shard::of(pieces, growth, error))
    }
}
