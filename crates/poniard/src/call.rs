//! From a call to a task: what `spawn!` and `lazy!` write.

use crate::options::Options;
use crate::region;
use crate::task::DTask;
use poniard_model::{Cause, Data, Pinned, Site};
use poniard_pool::{Arg, Function, Local};
use std::error::Error;

/// The arguments of a call, and its options.
#[derive(Debug)]
pub struct Call<A> {
    pub(crate) arguments: A,
    pub(crate) options: Option<Box<Options>>,
}

/// `f(a)?`: an `Err` fails the task.
#[inline]
pub fn tried<T, E: Into<Box<dyn Error + Send + Sync>>>(result: Result<T, E>) -> Result<T, Cause> {
    result.map_err(|error| Cause::returned(error.into()))
}

impl<A: Arg> Call<A> {
    /// Of these arguments.
    #[inline]
    pub fn new(arguments: A) -> Call<A> {
        Call { arguments, options: None }
    }

    /// With these options.
    pub fn options(self, options: Options) -> Call<A> {
        Call { arguments: self.arguments, options: Some(Box::new(options)) }
    }

    /// Spawns the task.
    #[inline]
    pub fn spawn<R: Data>(self, site: &'static Site, body: Function<A, R>) -> DTask<R> {
        if self.options.is_none() && region::is_plain() {
            return DTask(poniard_pool::spawn(self.arguments, body, site));
        }
        DTask(region::spawn(self.arguments, self.options, body, site, region::Form::Macro))
    }

    /// Spawns a task with real captures: it stays in this process, and so does its result.
    pub fn spawn_local<R, F>(self, site: &'static Site, body: F) -> DTask<Pinned<R>>
    where
        R: Send + Sync + 'static,
        F: for<'a> FnOnce(A::Out<'a>) -> Result<R, Cause> + Send + 'static,
    {
        let call = Call { arguments: (Local::new(body), self.arguments), options: self.options };
        call.spawn(site, |(body, arguments)| body(arguments).map(Pinned))
    }
}
