//! What `shard!` writes: who has a piece, and how it is made.

use super::Shard;
use super::table::Make;
use crate::cluster;
use crate::mutable::Making;
use crate::place::Home;
use poniard_model::{Cause, Data, ProcessorId, Scope, Site, TaskError, WorkerId};
use poniard_pool::{Datum, has_captures};
use std::sync::Arc;

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
        let (make, making) = (Arc::new(make), self.making());
        let make = move |home: Home| making.often(home.scope(), make.clone());
        self.made(Arc::new(make), !has_captures::<F>())
    }

    /// The same of these values, a copy of which goes to each piece.
    pub fn make_of<C, T, F>(self, captured: C, make: F) -> Shard<T>
    where
        C: Data + Clone,
        T: Send + Sync + 'static,
        F: Fn(C) -> T + Clone + Send + Sync + 'static,
    {
        let making = self.making();
        let make = move |home: Home| making.of(home.scope(), captured.clone(), make.clone());
        self.made(Arc::new(make), true)
    }

    fn making(&self) -> Making {
        Making { what: "shard", site: self.site }
    }

    fn made<T: Send + Sync + 'static>(self, make: Make<T>, is_made_anywhere: bool) -> Shard<T> {
        match self.pieces(&make) {
            Ok(pieces) => Shard::new(pieces, self.growth(), make, is_made_anywhere),
            Err(error) => Shard::failed(error),
        }
    }

    fn pieces<T: Send + Sync + 'static>(&self, make: &Make<T>) -> Result<Vec<(Home, Datum<T>)>, TaskError> {
        let homes = self.homes().map_err(|reason| TaskError::without_task(Cause::scheduling(reason)))?;
        // All of them first, so that they run side by side.
        let tasks = homes.iter().map(|home| make(*home)).collect::<Result<Vec<_>, _>>()?;
        let pieces = homes.into_iter().zip(&tasks);
        pieces.map(|(home, task)| Ok((home, task.cloned()?.datum().clone()))).collect()
    }

    /// Where those who come later have pieces too, and whether each processor has one: nowhere if they were named.
    fn growth(&self) -> Option<(Scope, bool)> {
        let is_named = self.workers.is_some() || self.procs.is_some();
        (!is_named).then(|| (self.within.clone().unwrap_or_else(Scope::default), self.per_thread))
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
