//! Tasks that are ended from outside: by a future, a timer, another process.

use super::context::{self, Counts};
use super::{cancel, finish, halt, outside, queue};
use crate::panics;
use crate::task::arg::Arg;
use crate::task::extra::Extra;
use crate::task::handle::{AnyHandle, Handle};
use crate::task::kept;
use crate::task::opened::Opened;
use crate::task::parcel::Homecoming;
use crate::task::promised::Promised;
use crate::task::ticket::Ticket;
use crate::task::{Body, CANCELLED, DETACHED, HALTED, Identity, TIMED_OUT, TaskRef};
use poniard_model::codec::Encoded;
use poniard_model::{Cause, Data, Site, TaskError, TaskId};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

/// The right, and the duty, to end a task. Dropped unused, it makes the task fail.
pub struct Completion<R: Data> {
    task: Option<TaskRef>,
    result: PhantomData<fn(R)>,
}

/// A function that hands the work to somebody else, who ends the task through the completion.
pub type Starter<A, R> = fn(Opened<A>, Completion<R>);

/// A [`Starter`] as a body.
pub(crate) struct HandOver<A: Arg, R: Data>(pub(crate) Starter<A, R>);

impl<A: Arg, R: Data> Clone for HandOver<A, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Arg, R: Data> Copy for HandOver<A, R> {}

impl<A: Arg, R: Data> Body<A, R> for HandOver<A, R> {
    const DETACHES: bool = true;

    fn address(self) -> usize {
        self.0 as usize
    }

    unsafe fn at(address: usize) -> Self {
        // SAFETY: the caller's promise: a starter of this type lies there.
        HandOver(unsafe { std::mem::transmute::<usize, Starter<A, R>>(address) })
    }

    unsafe fn run(self, task: &TaskRef, arguments: NonNull<A>) -> Option<Result<R, Cause>> {
        // SAFETY: the arguments move out here; `DETACHED` keeps the task from dropping them again.
        let arguments = Opened::new(unsafe { arguments.read() }).with_pins(kept::pins_of(task));
        task.set_flags(DETACHED);
        let completion = Completion::of(task.clone());
        let outer = STARTING.replace(Some(Starting { task: task.id(), is_abandoned: false }));
        let returned = catch_unwind(AssertUnwindSafe(|| (self.0)(arguments, completion)));
        let is_abandoned = STARTING.replace(outer).is_some_and(|starting| starting.is_abandoned);
        let cause = match returned {
            Ok(()) if !is_abandoned => return None,
            // The starter caught the panic that dropped it.
            Ok(()) => dropped(),
            Err(payload) => panics::cause(payload),
        };
        if is_abandoned {
            // Nobody works on it: it ends, or is tried again, like a task whose body has failed.
            task.clear_flags(DETACHED);
            return Some(Err(cause));
        }
        complete::<R>(task.clone(), Err(cause));
        None
    }
}

/// A starter in whose middle a thread is.
#[derive(Clone, Copy)]
struct Starting {
    task: TaskId,
    /// The completion was dropped while the thread unwound, and the task is to be ended when the starter is left.
    is_abandoned: bool,
}

thread_local! {
    /// The innermost starter of this thread.
    static STARTING: Cell<Option<Starting>> = const { Cell::new(None) };
}

/// Leaves the ending of `task` to [`HandOver::run`] if its starter may be what unwinds here: there the panic is known.
fn abandon(task: &TaskRef) -> bool {
    let starting = STARTING.get().filter(|starting| starting.task == task.id());
    let running = context::current().and_then(|context| context.running());
    // Another task that runs on top of the starter unwinds by itself, and the starter may wait for this one's end.
    let Some(starting) = starting.filter(|_| running.is_some_and(|running| running.id() == task.id())) else {
        return false;
    };
    STARTING.set(Some(Starting { is_abandoned: true, ..starting }));
    outside::forget(task);
    true
}

fn dropped() -> Cause {
    Cause::cancelled("because what was to end it was dropped")
}

/// A task that nothing runs, and what ends it.
pub fn promise<R: Data>(site: &'static Site) -> (Handle<R>, Completion<R>) {
    let identity = context::get().new_identity();
    promise_of(site, identity, Extra::default())
}

/// The same with a name, with something that lives as long as the task, and without what ends it as yet: that is made when
/// somebody asks, and until then the task goes with its last handle.
pub(crate) fn unasked_promise(
    site: &'static Site,
    mut extra: Extra,
    promised: Promised,
    ticket: impl FnOnce(TaskId) -> Arc<dyn Ticket>,
) -> TaskRef {
    // It counts as a task that waits from when it is asked for: until then it may go without having ended.
    let context = context::get();
    let identity = Identity { id: context.number(), epoch: context.epoch() };
    extra.ticket = Some(ticket(identity.id));
    let task = (promised.make)(site, identity, extra);
    drop(engines_of(&task));
    task
}

fn promise_of<R: Data>(site: &'static Site, identity: Identity, extra: Extra) -> (Handle<R>, Completion<R>) {
    let task = TaskRef::promise::<R>(site, identity, extra);
    let engines = engines_of(&task);
    (Handle::from_task(task), Completion::of(engines))
}

/// The engine's reference of a new promise.
fn engines_of(task: &TaskRef) -> TaskRef {
    // SAFETY: the engine's reference of a new task is nobody's yet.
    unsafe { TaskRef::from_raw(task.as_raw()) }
}

impl<R: Data> Completion<R> {
    /// Of an unasked promise, which is asked for now.
    pub(crate) fn asked(task: TaskRef) -> Completion<R> {
        Counts::add_one(&context::get().counts.launched);
        Completion::of(task)
    }

    pub(crate) fn of(task: TaskRef) -> Completion<R> {
        outside::show(&task);
        // A halt or a cancel that came just before has not found it there, and relied on who runs it.
        if task.is_halted() {
            halt::fail(&task);
        } else if task.flags() & CANCELLED != 0 {
            cancel(&task);
        }
        Completion { task: Some(task), result: PhantomData }
    }

    /// Ends the task; a result that comes after somebody else has ended it is dropped.
    pub fn finish(mut self, result: Result<R, Cause>) {
        if let Some(task) = self.task.take() {
            complete(task, result);
        }
    }

    /// Ends a task whatever the type of its result, which this reads; one that comes after somebody else has ended the task is dropped.
    ///
    /// # Safety
    /// It is of the type of the task's result.
    pub(crate) unsafe fn finish_as(mut self, homecoming: Homecoming, told: Result<Encoded, Cause>) {
        let Some(task) = self.task.take() else { return };
        match told.and_then(|encoded| homecoming.read(&encoded)) {
            Ok(value) if claim(&task) => {
                // SAFETY: `claim` gave the right to end the task; the caller's promise.
                unsafe { homecoming.put(&task, value) };
                done(task);
            }
            Ok(value) => panics::contain(|| drop(value)),
            Err(cause) => complete::<R>(task, Err(cause)),
        }
    }

    /// Ends the task with an error that names it already.
    pub fn fail(mut self, error: TaskError) {
        let Some(task) = self.task.take() else { return };
        if claim(&task) {
            finish::fail_with(&task, error);
        }
    }

    /// The task.
    pub fn handle(&self) -> AnyHandle {
        AnyHandle::new(self.task().clone())
    }

    /// Whether somebody wants the task to stop.
    pub fn is_cancelled(&self) -> bool {
        self.task().flags() & (CANCELLED | HALTED | TIMED_OUT) != 0
    }

    /// Takes the task's time limit off, to keep it by other means.
    pub fn take_time_limit(&self) -> Option<Duration> {
        let extra = self.extra()?;
        let over = extra.attempt_ended();
        extra.timeout.filter(|_| over.is_none())
    }

    /// What the task asked for beyond its function and its arguments.
    pub fn extra(&self) -> Option<&Extra> {
        self.task().extra()
    }

    fn task(&self) -> &TaskRef {
        self.task.as_ref().expect("it goes with `finish` only")
    }
}

/// Takes the right to end the task.
pub(super) fn claim(task: &TaskRef) -> bool {
    outside::forget(task);
    let won = task.resolve();
    if won {
        // Nobody may claim it any more; a promise is not claimed yet, a detached task is.
        let _ = task.gate.cancel();
        if let Some(extra) = task.extra() {
            extra.attempt_ended();
            extra.forget_abort();
        }
    }
    won
}

fn complete<R: Data>(task: TaskRef, result: Result<R, Cause>) {
    if !claim(&task) {
        return panics::contain(|| drop(result));
    }
    match result {
        Ok(value) => {
            task.keep_product(&value);
            // SAFETY: `resolve` gave the right to end the task, and its result is an `R`.
            unsafe { task.put_value(value) };
            done(task);
        }
        Err(cause) => finish::fail(&task, 1, cause),
    }
}

/// Ends a task from outside whose value is in its slot.
pub(super) fn done(task: TaskRef) {
    Counts::add_one(&context::get().counts.done);
    if let Some(next) = finish::done_from_outside(task) {
        queue(next);
    }
}

impl<R: Data> Drop for Completion<R> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take()
            && !(std::thread::panicking() && abandon(&task))
        {
            complete::<R>(task, Err(dropped()));
        }
    }
}

impl<R: Data> fmt::Debug for Completion<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Completion").field(&self.task).finish()
    }
}
