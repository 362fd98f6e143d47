//! A value for each worker or each processor.

use crate::cluster;
use crate::function::{IntoArgument, OneAlone, OneResult};
use crate::mutable::{Mutable, made_in};
use crate::passenger;
use crate::place::{Home, Pieces};
use crate::task::DTask;
use poniard_model::{Cause, Data, ProcessorId, Scope, Site, TaskError, WorkerId};
use poniard_pool::{AnyDatum, Datum, Read, Write};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A value for each worker, or for each processor: its pieces. It is made by [`shard!`](crate::shard!).
///
/// As an argument, `&x` gives the function the piece of the processor that it runs on, or else that of the processor's worker,
/// and `&mut x` the same, alone with that piece. Each piece is a [`Mutable`]. Which one a task uses is decided when it is
/// spawned: of those in its scope the one that the fewest tasks use or wait for, and the task runs where that piece
/// is. So tasks that use the same piece take turns in the order of their spawns.
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
    data: Arc<[Datum<T>]>,
    /// Why it could not be made.
    error: Option<TaskError>,
}

impl<T: Send + Sync + 'static> Shard<T> {
    /// How many pieces there are.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are none: then it could not be made.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Why it could not be made, if it could not: tasks that use it fail because of this.
    pub fn error(&self) -> Option<&TaskError> {
        self.error.as_ref()
    }

    /// The pieces, in the order of the workers or processors that they live on. Tasks that use one run where it lives.
    pub fn pieces(&self) -> Vec<Mutable<T>> {
        self.data.iter().cloned().map(Mutable::from_datum).collect()
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

/// What stands after the expression in `shard!(expression, option = value)`.
#[derive(Debug)]
pub struct ShardSpec {
    site: &'static Site,
    within: Option<Scope>,
    workers: Option<Vec<WorkerId>>,
    procs: Option<Vec<ProcessorId>>,
    per_thread: bool,
}

impl ShardSpec {
    /// One piece for each worker.
    pub fn new(site: &'static Site) -> ShardSpec {
        ShardSpec { site, within: None, workers: None, procs: None, per_thread: false }
    }

    /// The workers that have a piece.
    pub fn workers<W: Into<WorkerId>>(mut self, workers: impl IntoIterator<Item = W>) -> ShardSpec {
        self.workers = Some(workers.into_iter().map(Into::into).collect());
        self
    }

    /// The processors that have a piece, each its own.
    pub fn procs(mut self, processors: impl IntoIterator<Item = ProcessorId>) -> ShardSpec {
        self.procs = Some(processors.into_iter().collect());
        self
    }

    /// The processors that have a piece, together with those of their worker or each its own.
    pub fn scope(mut self, scope: Scope) -> ShardSpec {
        self.within = Some(scope);
        self
    }

    /// Whether each processor has a piece, and not each worker.
    pub fn per_thread(mut self, per_thread: bool) -> ShardSpec {
        self.per_thread = per_thread;
        self
    }

    /// Makes the pieces, each in a task where it lives, and waits for them.
    pub fn make<T, F>(self, make: F) -> Shard<T>
    where
        T: Send + Sync + 'static,
        F: Fn() -> T + Send + Sync + 'static,
    {
        let made = self.try_make(make);
        let (data, homes, error) = match made {
            Ok((data, homes)) => (data, homes, None),
            Err(error) => (Vec::new(), Vec::new(), Some(error)),
        };
        let erased = data.iter().cloned().map(|datum| Box::new(datum) as Box<dyn AnyDatum>);
        let pieces = Pieces::new(homes.into_iter().zip(erased).collect());
        Shard { pieces: Arc::new(pieces), data: data.into(), error }
    }

    fn try_make<T, F>(self, make: F) -> Result<(Vec<Datum<T>>, Vec<Home>), TaskError>
    where
        T: Send + Sync + 'static,
        F: Fn() -> T + Send + Sync + 'static,
    {
        let homes = self.homes().map_err(|reason| TaskError::without_task(Cause::scheduling(reason)))?;
        let make = Arc::new(make);
        let task = |home: &Home| {
            let make = make.clone();
            made_in(home.scope(), self.site, move || make())
        };
        // All of them first, so that they run side by side.
        let tasks = homes.iter().map(task).collect::<Result<Vec<_>, _>>()?;
        let data: Result<Vec<Datum<T>>, TaskError> =
            tasks.iter().map(|task| task.cloned().map(|datum| datum.0)).collect();
        Ok((data?, homes))
    }

    /// Who has a piece, in order; or why nobody can.
    fn homes(&self) -> Result<Vec<Home>, String> {
        let topology = cluster::topology()?;
        let refuse = |why: &str| Err(format!("cannot make the shard at {}: {why}", self.site));
        if let Some(procs) = &self.procs {
            let homes = unique(procs.iter().map(|processor| Home::Processor(*processor)));
            return if homes.is_empty() { refuse("`procs` names no processor") } else { Ok(homes) };
        }
        if self.workers.as_ref().is_some_and(Vec::is_empty) {
            return refuse("`workers` names no worker");
        }
        let workers = self.workers.as_ref().map(|workers| Scope::workers(workers.iter().copied()));
        let scopes = [workers.clone(), self.within.clone()];
        let within = scopes.into_iter().flatten().reduce(|left, right| left & right);
        let within = within.unwrap_or_else(Scope::default);
        let processors = within.processors(&topology);
        if self.per_thread {
            let homes = unique(processors.into_iter().map(Home::Processor));
            let why = within.why_empty(&topology).unwrap_or_default();
            return if homes.is_empty() { refuse(&why) } else { Ok(homes) };
        }
        // A worker that is named and does not exist is an error, and not a piece less.
        let named = self.workers.iter().flatten().copied().filter(|_| self.within.is_none());
        let homes = unique(named.chain(processors.iter().map(|id| id.worker)).map(Home::Worker));
        let why = within.why_empty(&topology).unwrap_or_default();
        if homes.is_empty() { refuse(&why) } else { Ok(homes) }
    }
}

/// Each once, where it stands first.
fn unique(homes: impl Iterator<Item = Home>) -> Vec<Home> {
    let mut known: Vec<Home> = Vec::new();
    homes.for_each(|home| {
        if !known.contains(&home) {
            known.push(home);
        }
    });
    known
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
        Shard { pieces: self.pieces.clone(), data: self.data.clone(), error: self.error.clone() }
    }
}

impl<T> fmt::Debug for Shard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shard({})", self.pieces)
    }
}

impl<T: Send + Sync + 'static> Serialize for Shard<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        passenger::write(self, serializer)
    }
}

impl<'de, T: Send + Sync + 'static> Deserialize<'de> for Shard<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shard<T>, D::Error> {
        passenger::read(deserializer)
    }
}
