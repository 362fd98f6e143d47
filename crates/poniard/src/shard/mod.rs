//! A value for each worker or each processor.

mod spec;
mod table;
mod told;

pub use spec::ShardSpec;

use crate::function::{IntoArgument, OneAlone, OneResult};
use crate::mutable::Mutable;
use crate::place::{Home, Pieces};
use crate::task::DTask;
use poniard_model::{Data, Scope, TaskError};
use poniard_pool::{AnyDatum, Datum, Read, Write};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use table::{Make, Root, Table};

/// A value for each worker, or for each processor: its pieces. It is made by [`shard!`](crate::shard!).
///
/// As an argument, `&x` gives the function the piece of the processor that it runs on, or else that of the processor's worker,
/// and `&mut x` the same, alone with that piece. Each piece is a [`Mutable`]. Which one a task uses is decided when it is
/// spawned: of those in its scope the one that the fewest tasks use or wait for, and the task runs where that piece
/// is. So tasks that use the same piece take turns in the order of their spawns.
///
/// A worker that joins later gets a piece when it is first used there, by the same expression; unless the workers or processors were
/// named, or the expression has captures: then it is an error of the task, which says how to declare them. When a worker is lost,
/// its piece is, and the others go on.
///
/// ```
/// use poniard::prelude::*;
/// # fn count(bins: &mut Vec<u64>, samples: Vec<usize>) { samples.into_iter().for_each(|x| bins[x] += 1) }
/// # fn copy(bins: &Vec<u64>) -> Vec<u64> { bins.clone() }
/// let mut bins = shard!(vec![0u64; 3], per_thread = true);
/// for samples in [vec![0, 1], vec![1, 2, 2]] {
///     spawn!(count(&mut bins, samples));
/// }
/// let totals = bins.map(|piece| spawn!(copy(&piece))).fetch_all()?;
/// assert_eq!(totals.len(), bins.len());
/// assert_eq!(totals.iter().map(|bins| bins[1]).sum::<u64>(), 2);
/// # Ok::<(), TaskError>(())
/// ```
pub struct Shard<T> {
    pieces: Arc<Pieces>,
    /// All pieces as its maker knows them, where those who come later get some.
    root: Option<Root<T>>,
    /// Why it could not be made.
    error: Option<TaskError>,
    value: PhantomData<fn() -> T>,
}

impl<T: Send + Sync + 'static> Shard<T> {
    /// Of these pieces; those who come later get some within `growth`, each processor its own or not.
    fn new(
        pieces: Vec<(Home, Datum<T>)>,
        growth: Option<(Scope, bool)>,
        make: Make<T>,
        is_made_anywhere: bool,
    ) -> Shard<T> {
        let root = growth.is_some().then(|| Mutable::new(Table::new(pieces.clone(), make)));
        let growth = growth.map(|(within, per_thread)| (within, per_thread, is_made_anywhere));
        Shard::of(pieces, root.zip(growth), None)
    }

    fn failed(error: TaskError) -> Shard<T> {
        Shard::of(Vec::new(), None, Some(error))
    }

    fn of(
        pieces: Vec<(Home, Datum<T>)>,
        growth: Option<(Root<T>, (Scope, bool, bool))>,
        error: Option<TaskError>,
    ) -> Shard<T> {
        let root = growth.as_ref().map(|(root, _)| root.clone());
        let growth = growth.map(|(root, (within, per_thread, is_made_anywhere))| {
            table::growth(root, within, per_thread, is_made_anywhere)
        });
        let erased = pieces.into_iter().map(|(home, datum)| (home, Arc::new(datum) as Arc<dyn AnyDatum>));
        let pieces = Arc::new(Pieces::new(erased.collect(), growth));
        Shard { pieces, root, error, value: PhantomData }
    }

    /// How many pieces there are, as far as this process knows: others may have used those of workers that have come since.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there are none: then it could not be made.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Why it could not be made, if it could not: tasks that use it fail because of this.
    pub fn error(&self) -> Option<&TaskError> {
        self.error.as_ref()
    }

    /// The pieces, in the order of the workers or processors that they live on. Tasks that use one run where it lives.
    pub fn pieces(&self) -> Vec<Mutable<T>> {
        self.look();
        self.known().into_iter().map(|(_, piece)| piece).collect()
    }

    /// Learns of the pieces that were made for others, if there may be some. When the maker is gone, those that are known are all.
    fn look(&self) {
        let Some(root) = self.root.as_ref().filter(|_| !crate::cluster::is_alone()) else { return };
        for (home, piece) in table::all(root).unwrap_or_default() {
            self.pieces.add(home, Arc::new(piece.datum().clone()));
        }
    }

    fn known(&self) -> Vec<(Home, Mutable<T>)> {
        let typed = |(home, datum): (Home, Arc<dyn AnyDatum>)| {
            let datum: &dyn std::any::Any = &*datum;
            let datum = datum.downcast_ref::<Datum<T>>().expect("it is a piece of this shard");
            (home, Mutable::from_datum(datum.clone()))
        };
        self.pieces.all().into_iter().map(typed).collect()
    }

    /// Calls `spawn` with each piece, in their order: `x.map(|piece| spawn!(copy(&piece))).fetch_all()?`.
    pub fn map<R>(&self, spawn: impl FnMut(Mutable<T>) -> DTask<R>) -> Mapped<R> {
        Mapped(self.pieces().into_iter().map(spawn).collect())
    }

    /// Access to the piece of where the task will run.
    pub(crate) fn read(&self) -> Read<T> {
        match &self.error {
            Some(error) => Read::to(Datum::failed(error.clone())),
            None => Read::to_one_of(self.pieces.clone()),
        }
    }

    /// As [`Shard::read`], alone with the piece.
    pub(crate) fn write(&self) -> Write<T> {
        match &self.error {
            Some(error) => Write::to(Datum::failed(error.clone())),
            None => Write::to_one_of(self.pieces.clone()),
        }
    }
}

/// The tasks of [`Shard::map`], one a piece, in the order of the pieces.
#[derive(Clone, Debug)]
pub struct Mapped<R>(Vec<DTask<R>>);

impl<R: Data + Clone> Mapped<R> {
    /// Waits for all, and gives copies of their results.
    ///
    /// # Errors
    /// That of the first task, in the order of the pieces, that failed.
    pub fn fetch_all(&self) -> Result<Vec<R>, TaskError> {
        self.0.iter().map(DTask::fetch).collect()
    }
}

impl<R> Deref for Mapped<R> {
    type Target = [DTask<R>];
    fn deref(&self) -> &[DTask<R>] {
        &self.0
    }
}

impl<R> IntoIterator for Mapped<R> {
    type Item = DTask<R>;
    type IntoIter = std::vec::IntoIter<DTask<R>>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T: Send + Sync + 'static> IntoArgument<OneResult> for &Shard<T> {
    type Argument = Read<T>;
    fn into_argument(self) -> Read<T> {
        self.read()
    }
}

impl<T: Send + Sync + 'static> IntoArgument<OneAlone> for &mut Shard<T> {
    type Argument = Write<T>;
    fn into_argument(self) -> Write<T> {
        self.write()
    }
}

impl<T> Clone for Shard<T> {
    fn clone(&self) -> Shard<T> {
        let (root, error) = (self.root.clone(), self.error.clone());
        Shard { pieces: self.pieces.clone(), root, error, value: PhantomData }
    }
}

impl<T> fmt::Debug for Shard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shard({})", self.pieces)
    }
}
