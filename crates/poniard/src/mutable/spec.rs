//! Where a mutable is made: what `mutable!` writes when it has options.

use super::Mutable;
use crate::cluster;
use crate::options;
use poniard_model::{Cause, Pinned, ProcessorId, Scope, Site, TaskError, TaskOptions, WorkerId};
use poniard_pool::{Datum, Handle, Local};
use std::sync::Arc;

/// What stands after the expression in `mutable!(expression, option = value)`.
#[derive(Debug)]
pub struct MutableSpec {
    site: &'static Site,
    scope: Scope,
}

impl MutableSpec {
    /// Nothing asked for.
    pub fn new(site: &'static Site) -> MutableSpec {
        MutableSpec { site, scope: Scope::worker(poniard_pool::me()) }
    }

    /// Where the value is made and lives.
    pub fn scope(self, scope: Scope) -> MutableSpec {
        MutableSpec { scope, ..self }
    }

    /// The worker on which the value is made and lives.
    pub fn worker(self, worker: impl Into<WorkerId>) -> MutableSpec {
        self.scope(Scope::worker(worker))
    }

    /// The processor on which the value is made and lives.
    pub fn processor(self, processor: ProcessorId) -> MutableSpec {
        self.scope(Scope::exact(processor))
    }

    /// Makes the value in a task there, and waits for it.
    pub fn make<T: Send + Sync + 'static>(self, make: impl FnOnce() -> T + Send + 'static) -> Mutable<T> {
        let made = made_in(self.scope, self.site, make).and_then(|made| made.cloned());
        Mutable::from_datum(made.map_or_else(Datum::failed, |made| made.0))
    }
}

/// A task that makes a datum, in this scope, and joins no region.
pub(crate) fn made_in<T: Send + Sync + 'static>(
    scope: Scope,
    site: &'static Site,
    make: impl FnOnce() -> T + Send + 'static,
) -> Result<Handle<Pinned<Datum<T>>>, TaskError> {
    cluster::ensure().map_err(|reason| TaskError::without_task(Cause::scheduling(reason)))?;
    let asked = TaskOptions { scope: Some(scope.clone()), ..TaskOptions::default() };
    let extra = options::resolve(asked, &[], TaskOptions::default(), None);
    let arguments = (Local::new(make), Local::new(scope));
    Ok(poniard_pool::spawn_with(
        arguments,
        |(make, scope)| Ok(Pinned(Datum::new(make(), Some(Arc::new(scope))))),
        site,
        extra,
    ))
}
