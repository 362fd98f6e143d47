//! Where a mutable is made: what `mutable!` writes when it has options.

use super::Mutable;
use crate::cluster;
use crate::options;
use poniard_model::{Cause, Data, ProcessorId, Scope, Site, TaskError, TaskOptions, WorkerId};
use poniard_pool::{Arg, Calls, Code, Datum, Function, Handle, Local, Value, has_captures};
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
        let making = Making { what: "mutable", site: self.site };
        MutableSpec::wait(making.once(self.scope, make))
    }

    /// The same of these values, which go there.
    pub fn make_of<C, T, F>(self, captured: C, make: F) -> Mutable<T>
    where
        C: Data,
        T: Send + Sync + 'static,
        F: Fn(C) -> T + Clone + Send + 'static,
    {
        let making = Making { what: "mutable", site: self.site };
        MutableSpec::wait(making.of(self.scope, captured, make))
    }

    fn wait<T: Send + Sync + 'static>(making: Result<Handle<Mutable<T>>, TaskError>) -> Mutable<T> {
        let made = making.and_then(|making| making.cloned());
        made.unwrap_or_else(|error| Mutable::from_datum(Datum::failed(error)))
    }
}

/// How mutables are made of one expression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Making {
    /// The macro's name.
    pub(crate) what: &'static str,
    pub(crate) site: &'static Site,
}

impl Making {
    /// Makes one in this scope by a closure, which has to be here if it has captures.
    pub(crate) fn once<T, F>(self, scope: Scope, make: F) -> Result<Handle<Mutable<T>>, TaskError>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let scope = if has_captures::<F>() { self.here(scope)? } else { scope };
        let arguments = (Local::new(make), Value::new(scope.clone()));
        spawn_at(scope, self.site, arguments, |(make, scope)| Ok(made(make(), scope)))
    }

    /// The same by a closure that makes several.
    pub(crate) fn often<T, F>(self, scope: Scope, make: Arc<F>) -> Result<Handle<Mutable<T>>, TaskError>
    where
        T: Send + Sync + 'static,
        F: Fn() -> T + Send + Sync + 'static,
    {
        let scope = if has_captures::<F>() { self.here(scope)? } else { scope };
        let arguments = (Calls::new(make), Value::new(scope.clone()));
        spawn_at(scope, self.site, arguments, |(make, scope)| Ok(made(make(), scope)))
    }

    /// Makes one in this scope of these values.
    pub(crate) fn of<C, T, F>(
        self,
        scope: Scope,
        captured: C,
        make: F,
    ) -> Result<Handle<Mutable<T>>, TaskError>
    where
        C: Data,
        T: Send + Sync + 'static,
        F: Fn(C) -> T + Clone + Send + 'static,
    {
        const { assert!(size_of::<F>() == 0, "what the expression uses is declared before `=>`") };
        let arguments = (Code::new(make), Value::new(captured), Value::new(scope.clone()));
        spawn_at(scope, self.site, arguments, |(make, captured, scope)| Ok(made(make(captured), scope)))
    }

    /// The part of a scope that is here.
    ///
    /// # Errors
    /// When there is none, and what to write.
    fn here(self, scope: Scope) -> Result<Scope, TaskError> {
        let refuse = |why: String| TaskError::without_task(Cause::scheduling(why));
        let topology = cluster::topology().map_err(refuse)?;
        let me = poniard_pool::me();
        let fitting = scope.processors(&topology);
        // Why nothing fits is told by the task.
        if fitting.iter().all(|processor| processor.worker == me) {
            return Ok(scope);
        }
        if fitting.iter().any(|processor| processor.worker == me) {
            return Ok(scope & Scope::worker(me));
        }
        let Making { what, site } = self;
        Err(refuse(format!(
            "cannot make the {what} at {site} in scope `{scope}`: its expression has captures, which exist on {me} only; declare \
             them, so that they can go there: `{what}!(x = x.clone() => f(x), ..)`"
        )))
    }
}

fn made<T: Send + Sync + 'static>(value: T, scope: Scope) -> Mutable<T> {
    Mutable::from_datum(Datum::new(value, Some(Arc::new(scope))))
}

/// A task in this scope, which joins no region.
pub(crate) fn spawn_at<A: Arg, R: Data>(
    scope: Scope,
    site: &'static Site,
    arguments: A,
    body: Function<A, R>,
) -> Result<Handle<R>, TaskError> {
    cluster::ensure().map_err(|reason| TaskError::without_task(Cause::scheduling(reason)))?;
    let asked = TaskOptions { scope: Some(scope), ..TaskOptions::default() };
    let extra = options::resolve(asked, &[], TaskOptions::default(), None);
    Ok(poniard_pool::spawn_with(arguments, body, site, extra))
}
