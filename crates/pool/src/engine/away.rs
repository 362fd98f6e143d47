//! Tasks that run in another process: they are packed here, carried away, and ended when their result comes home.
//!
//! To the rest of the engine such a task is one whose body has left its thread, like a future's: it is claimed, holds no
//! processor, and may be cancelled, halted, or run out of time meanwhile. Unlike theirs its arguments stay in place. They
//! belong to the [`Away`], which gives them back when the task is over, or packs them once more when its process is lost.

use super::attempt;
use super::promise::{claim, complete};
use super::{Engine, admission, cancel, finish, halt, outside, queue, run};
use crate::panics;
use crate::task::arg::Arg;
use crate::task::extra::Extra;
use crate::task::handle::AnyHandle;
use crate::task::parcel::{Parcel, decode, pack};
use crate::task::{Body, CANCELLED, DETACHED, GATED, HALTED, Ran, TIMED_OUT, TaskRef, kept};
use poniard_model::codec::Encoded;
use poniard_model::{Cause, Data, FailedTask, Scope, TaskError, WorkerId};
use std::fmt;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// Who takes tasks to other processes.
pub trait Carrier: Send + Sync {
    /// Takes a task. It must be short, and not end the task before it returns.
    fn carry(&self, away: Away);
}

static CARRIER: OnceLock<&'static dyn Carrier> = OnceLock::new();

/// Says who takes tasks to other processes, for good; the first call counts.
pub fn set_carrier(carrier: &'static dyn Carrier) {
    let _ = CARRIER.set(carrier);
}

/// A task that is to run in another process, with the right, and the duty, to end it. Dropped, it makes the task fail.
pub struct Away {
    task: Option<TaskRef>,
    parcel: Option<Parcel>,
    come_home: fn(TaskRef, Result<&Encoded, Cause>),
}

/// Sends a ready task away, with the engine's reference.
pub(super) fn send(engine: &'static Engine, task: TaskRef) {
    if !task.gate.claim() {
        return;
    }
    if task.is_halted() {
        run::stop_halted(&task);
        return;
    }
    if task.flags() & GATED == 0 {
        return leave(engine, task);
    }
    // What it reads is in memory while it is packed.
    if let Some((task, pins)) = admission::let_in(task) {
        kept::holding(pins, || {
            leave(engine, task);
            kept::let_go();
        });
    }
}

/// Begins an attempt of a claimed task, in another process.
fn leave(engine: &'static Engine, task: TaskRef) {
    attempt::begin(engine, &task);
    // SAFETY: the caller has claimed it, and a ready task's inputs have ended well.
    let ran = unsafe { task.run() };
    run::after_unusual(task, ran);
}

/// Packs a task and hands it to the carrier.
///
/// # Safety
/// As for [`TaskRef::run`]; the task is a `Task<A, R, B>`, and these are its arguments and its body.
pub(crate) unsafe fn depart<A: Arg, R: Data, B: Body<A, R>>(
    task: &TaskRef,
    arguments: NonNull<A>,
    body: B,
) -> Ran {
    // SAFETY: the caller's promise: nobody else touches them.
    let arguments = unsafe { arguments.as_ref() };
    // SAFETY: the caller's promise, and what it reads is pinned.
    let packed = panics::caught(|| unsafe { pack::<A, R, B>(arguments, body, task.site) });
    let carrier = CARRIER.get();
    let refusal = match (packed, carrier) {
        (Some(Ok(parcel)), Some(carrier)) => {
            task.set_flags(DETACHED);
            let away = Away { task: Some(task.clone()), parcel: Some(parcel), come_home: come_home::<R> };
            outside::show(task);
            // A halt or a cancel that came just before has not found it there, and relied on who runs it.
            if task.is_halted() {
                halt::fail(task);
            } else if task.flags() & CANCELLED != 0 {
                cancel(task);
            }
            carrier.carry(away);
            return Ran::Detached;
        }
        (Some(Ok(_)), None) => "no process is there to take it".to_owned(),
        (Some(Err(unmovable)), _) => unmovable.to_string(),
        (None, _) => "its arguments panicked when they were written".to_owned(),
    };
    let scope = task.extra().and_then(|extra| extra.elsewhere.as_ref());
    let scope = scope.map_or_else(String::new, |scope| format!(" to scope `{scope}`"));
    // SAFETY: the claim is the caller's, and the task has not run.
    unsafe { task.drop_arguments() };
    Ran::Failed(Cause::scheduling(format!("cannot go{scope}: {refusal}")))
}

/// Ends a task with what has come home.
fn come_home<R: Data>(task: TaskRef, outcome: Result<&Encoded, Cause>) {
    complete::<R>(task, outcome.and_then(decode::<R>));
}

impl Away {
    /// The task.
    pub fn handle(&self) -> AnyHandle {
        AnyHandle::new(self.task().clone())
    }

    /// The call; once.
    ///
    /// # Panics
    /// When it was taken before.
    pub fn take_parcel(&mut self) -> Parcel {
        self.parcel.take().expect("a parcel is taken once")
    }

    /// Where the task may run.
    pub fn scope(&self) -> &Scope {
        self.extra().elsewhere.as_ref().expect("who goes away has a scope")
    }

    /// What the task asked for beyond its function and its arguments.
    pub fn extra(&self) -> &Extra {
        self.task().extra().expect("who goes away has an extra")
    }

    /// Which attempt it is, from 1.
    pub fn attempt(&self) -> u32 {
        self.task().attempt()
    }

    /// The task, for an error that happened to it on this worker.
    pub fn as_failed(&self, worker: WorkerId) -> FailedTask {
        FailedTask { worker, ..self.task().as_failed(self.attempt()) }
    }

    /// Whether somebody has ended the task, or wants it to stop.
    pub fn is_over(&self) -> bool {
        self.task().flags() & (CANCELLED | HALTED | TIMED_OUT) != 0 || self.extra().is_resolved()
    }

    /// Ends the task with its result; one that comes after somebody else has ended it is dropped.
    pub fn finish(mut self, value: &Encoded) {
        if let Some(task) = self.task.take() {
            give_arguments_back(&task);
            (self.come_home)(task, Ok(value));
        }
    }

    /// Ends the attempt with a failure on this worker; another one follows if the task's retries say so.
    pub fn fail(mut self, worker: WorkerId, cause: Cause) {
        let Some(task) = self.task.take() else { return };
        let number = task.attempt();
        let error = |task: &TaskRef| {
            let failed = FailedTask { worker, ..task.as_failed(number) };
            TaskError::new(failed, if task.is_halted() { Cause::halted() } else { cause })
        };
        let retries = task.extra().and_then(|extra| extra.retries.as_ref());
        if retries.is_some_and(|retries| number <= retries.max)
            && !task.extra().is_some_and(Extra::is_resolved)
        {
            end_attempt(&task);
            let error = error(&task);
            return attempt::try_again_after(task, error);
        }
        give_arguments_back(&task);
        if claim(&task) {
            let error = error(&task);
            finish::fail_with(&task, error);
        }
    }

    /// Has the task carried away once more: its process is lost.
    pub fn again(mut self) {
        let Some(task) = self.task.take() else { return };
        if task.extra().is_some_and(Extra::is_resolved) {
            return give_arguments_back(&task);
        }
        end_attempt(&task);
        task.gate.reopen();
        if !attempt::end_if_asked(&task) {
            queue(task);
        }
    }

    fn task(&self) -> &TaskRef {
        self.task.as_ref().expect("it goes with the end only")
    }
}

/// The attempt is over, and the task is nobody's.
fn end_attempt(task: &TaskRef) {
    outside::forget(task);
    if let Some(extra) = task.extra() {
        extra.attempt_ended();
        extra.forget_abort();
    }
    // Who cancels it from now on leaves its mark only, as with any task that runs.
    task.clear_flags(DETACHED);
}

/// Drops the arguments of a task that will not be carried again.
fn give_arguments_back(task: &TaskRef) {
    // SAFETY: the claim is the carrier's, with the arguments, and the task has not run here.
    unsafe { task.drop_arguments() };
}

impl Drop for Away {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            give_arguments_back(&task);
            (self.come_home)(task, Err(Cause::cancelled("because what was to end it was dropped")));
        }
    }
}

impl fmt::Debug for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Away").field(&self.task).finish()
    }
}
