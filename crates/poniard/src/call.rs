//! From a call to a task: what `spawn!` and `lazy!` write.

use crate::options::Options;
use crate::reach;
use crate::region;
use crate::task::DTask;
use poniard_model::{Cause, Data, Pinned, Site};
use poniard_pool::{Arg, Function, Local, are_placed};
use std::error::Error;

/// The arguments of a call, and its options.
#[derive(Debug)]
pub struct Call<A> {
    pub(crate) arguments: A,
    pub(crate) options: Option<Box<Options>>,
}

/// `f(a)?`: an `Err` fails the task.
#[inline]
pub fn tried<T>(result: impl Fallible<T>) -> Result<T, Cause> {
    result.outcome()
}

/// What a call that is followed by `?` returns.
#[diagnostic::on_unimplemented(
    message = "`?` is for calls that return a `Result`, and this one returns `{Self}`",
    label = "returns no `Result`",
    note = "leave out the `?`"
)]
pub trait Fallible<T> {
    /// The value, or why the task fails.
    fn outcome(self) -> Result<T, Cause>;
}

impl<T, E: FailsTask> Fallible<T> for Result<T, E> {
    #[inline]
    fn outcome(self) -> Result<T, Cause> {
        self.map_err(FailsTask::into_cause)
    }
}

/// An error that a task may fail with.
#[diagnostic::on_unimplemented(
    message = "a task cannot fail with `{Self}`, because it is no `std::error::Error`",
    label = "fails with a `{Self}`",
    note = "implement `std::error::Error + Send + Sync` for it; or leave out the `?`, and the task's result is the `Result`"
)]
pub trait FailsTask {
    /// Keeps the error.
    fn into_cause(self) -> Cause;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Box<dyn Error + Send + Sync>>> FailsTask for E {
    fn into_cause(self) -> Cause {
        Cause::returned(self.into())
    }
}

impl<A> Call<A> {
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
    #[rustfmt::skip] // rustc shows the next line to somebody whose body captures a variable.
    pub fn spawn<R>(self, site: &'static Site, body: Function<A, R>) -> DTask<R> // captures: `spawn!(k = k => ..)`
    where
        A: Arg,
        R: Data,
    {
        let Call { mut arguments, options } = self;
        let is_plain = options.is_none() && region::is_plain() && !reach::are_results_bound();
        if is_plain && !are_placed(&mut arguments) {
            return DTask(poniard_pool::spawn(arguments, body, site));
        }
        DTask(region::spawn(arguments, options, body, site, region::Form::Macro))
    }

    /// Spawns a task that has a checkpoint.
    pub fn spawn_checkpointed<R>(self, site: &'static Site, body: Function<A, R>) -> DTask<R>
    where
        A: Arg,
        R: Data,
    {
        let options = self.options.unwrap_or_default();
        DTask(region::spawn_checkpointed(self.arguments, *options, body, site, region::Form::Macro))
    }

    /// Spawns a task with real captures: it stays in this process, and so does its result.
    pub fn spawn_local<R, F>(self, site: &'static Site, body: F) -> DTask<Pinned<R>>
    where
        A: Arg,
        R: Send + Sync + 'static,
        F: for<'a> FnOnce(A::Out<'a>) -> Result<R, Cause> + Send + 'static,
    {
        let call = Call { arguments: (Local::new(body), self.arguments), options: self.options };
        call.spawn(site, |(body, arguments)| body(arguments).map(Pinned))
    }
}
