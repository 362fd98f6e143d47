//! The pieces of a shard as its maker knows them: all of them, those included that were made later.

use crate::mutable::{Mutable, spawn_at};
use crate::place::{Growth, Home};
use poniard_model::{Cause, Scope, Site, TaskError};
use poniard_pool::{AnyDatum, Datum, Handle, Value};
use std::fmt;
use std::sync::Arc;

/// All pieces of a shard, and what makes more. It is a mutable of the process that has made the shard, so that a piece is made once,
/// whoever wants it first.
pub(super) struct Table<T> {
    pieces: Vec<(Home, Datum<T>)>,
    make: Make<T>,
}

/// Begins to make the piece of a home.
pub(super) type Make<T> = Arc<dyn Fn(Home) -> Result<Handle<Mutable<T>>, TaskError> + Send + Sync>;

/// The table of a shard, from whichever process.
pub(super) type Root<T> = Mutable<Table<T>>;

static SITE: Site = Site::new("shard", file!(), line!());

impl<T: Send + Sync + 'static> Table<T> {
    /// Of these pieces.
    pub(super) fn new(pieces: Vec<(Home, Datum<T>)>, make: Make<T>) -> Table<T> {
        Table { pieces, make }
    }

    /// The piece of this home, which is made if there is none.
    fn piece_of(&mut self, home: Home) -> Result<Mutable<T>, Cause> {
        if let Some((_, datum)) = self.pieces.iter().find(|(other, _)| *other == home) {
            return Ok(Mutable::from_datum(datum.clone()));
        }
        let made = (self.make)(home)?.cloned()?;
        self.pieces.push((home, made.datum().clone()));
        Ok(made)
    }

    fn all(&self) -> Vec<(Home, Mutable<T>)> {
        self.pieces.iter().map(|(home, datum)| (*home, Mutable::from_datum(datum.clone()))).collect()
    }
}

/// What gives the shard of this table pieces for those who come later.
pub(super) fn growth<T: Send + Sync + 'static>(
    root: Root<T>,
    within: Scope,
    per_thread: bool,
    is_made_anywhere: bool,
) -> Growth {
    let make = move |home| Ok(Box::new(piece_of(&root, home)?) as Box<dyn AnyDatum>);
    Growth { within, per_thread, is_made_anywhere, make: Box::new(make) }
}

/// Asks the maker for the piece of this home, and waits for it.
fn piece_of<T: Send + Sync + 'static>(root: &Root<T>, home: Home) -> Result<Datum<T>, TaskError> {
    let arguments = (root.write(), Value::new(home));
    let piece =
        spawn_at(root.scope(), &SITE, arguments, |(table, home): (&mut Table<T>, Home)| table.piece_of(home));
    piece?.cloned().map(|piece| piece.datum().clone())
}

/// Asks the maker for all pieces that there are by now.
pub(super) fn all<T: Send + Sync + 'static>(root: &Root<T>) -> Result<Vec<(Home, Mutable<T>)>, TaskError> {
    let all = spawn_at(root.scope(), &SITE, (root.read(),), |(table,): (&Table<T>,)| Ok(table.all()));
    all?.cloned()
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("pieces", &self.pieces.len()).finish_non_exhaustive()
    }
}
