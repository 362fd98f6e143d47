//! One attempt of a task: its body is called, and the result goes into the slot.

use super::arg::Arg;
use super::lineage::Lineage;
use super::opened::Spare;
use super::parcel::pack;
use super::{Body, Ran, Task, TaskRef, access, arguments};
use crate::panics;
use poniard_model::{Cause, Data};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;

/// # Safety
/// `task` is a `Task<A, R, B>`.
#[inline(always)]
unsafe fn body<A, R, B: Copy>(task: &TaskRef) -> B {
    // SAFETY: the body is written when the task is made, and never again.
    unsafe { task.0.cast::<Task<A, R, B>>().as_ref() }.body
}

/// # Safety
/// As for [`TaskRef::run`]; the task is a `Task<A, R, B>`.
pub(super) unsafe fn run<A: Arg, R: Data, B: Body<A, R>>(task: &TaskRef) -> Ran {
    // SAFETY: the caller's promise.
    let arguments = unsafe { arguments::<A, R, B>(task.0) };
    if task.extra().is_some() {
        // SAFETY: the caller's promise.
        return unsafe { run_with_extra::<A, R, B>(task, arguments) };
    }
    // SAFETY: the caller's promise.
    match unsafe { attempt::<A, R, B>(task, arguments) } {
        Some(Ok(value)) => {
            // SAFETY: the claimer ends the task, here.
            unsafe { task.put_value(value) };
            Ran::Done
        }
        Some(Err(cause)) => Ran::Failed(cause),
        None => Ran::Detached,
    }
}

/// Calls the body, and drops what it leaves of the arguments.
///
/// # Safety
/// As for [`TaskRef::run`]; the task is a `Task<A, R, B>` and `arguments` are its arguments.
#[inline(always)]
unsafe fn attempt<A: Arg, R: Data, B: Body<A, R>>(
    task: &TaskRef,
    arguments: NonNull<A>,
) -> Option<Result<R, Cause>> {
    // SAFETY: the task is what the caller says.
    let body = unsafe { body::<A, R, B>(task) };
    let result = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the caller's promise.
        unsafe { body.run(task, arguments) }
    }));
    if !B::DETACHES {
        // SAFETY: values moved out when the arguments were opened; what is left is dropped once.
        let drop_rest = || unsafe { arguments.drop_in_place() };
        if A::ACCESSES { access::ending(drop_rest) } else { drop_rest() }
    }
    match result {
        Ok(result) => result,
        Err(payload) => Some(Err(panics::cause(payload))),
    }
}

/// An attempt of a task that may be tried again, and that somebody else may end meanwhile.
///
/// # Safety
/// As for [`attempt`].
#[cold]
#[inline(never)]
unsafe fn run_with_extra<A: Arg, R: Data, B: Body<A, R>>(task: &TaskRef, arguments: NonNull<A>) -> Ran {
    let extra = task.extra().expect("asked by the caller");
    if extra.is_away() {
        // SAFETY: the task is what the caller says.
        let body = unsafe { body::<A, R, B>(task) };
        // SAFETY: the arguments are whole, and nobody else touches them.
        let arguments = unsafe { arguments.as_ref() };
        // SAFETY: the caller's promise; what the task reads is pinned.
        return Ran::Packed(Box::new(unsafe { pack::<A, R, B>(arguments, body, task.site) }));
    }
    let number = extra.attempt.load(Relaxed);
    // Values move into the body, so what another attempt needs is copied before.
    let copied = || {
        // SAFETY: the arguments are whole: they are opened below.
        let arguments = unsafe { arguments.as_ref() };
        panics::caught(|| arguments.spare()).flatten().map(Spare::new)
    };
    let spare = extra.retries.as_ref().filter(|retries| number <= retries.max).and_then(|_| copied());
    // What changes data in place would change them again.
    if task.may_be_large() && !A::ACCESSES {
        // SAFETY: the task is what the caller says.
        extra.keep_lineage(|| Some(Lineage::new::<A, R, B>(copied()?, unsafe { body::<A, R, B>(task) })));
    }
    // SAFETY: the caller's promise.
    let result = unsafe { attempt::<A, R, B>(task, arguments) };
    if result.is_none() {
        extra.left_thread();
        return Ran::Detached;
    }
    let timed_out = extra.attempt_ended();
    if extra.is_resolved() {
        // It has failed meanwhile, perhaps before it kept what it was made of.
        extra.forget_lineage();
        panics::contain(|| drop(result));
        return Ran::TooLate;
    }
    match result {
        Some(Ok(value)) if timed_out.is_none() => {
            if !extra.resolve() {
                extra.forget_lineage();
                panics::contain(|| drop(value));
                return Ran::TooLate;
            }
            task.keep_product(&value);
            // SAFETY: `resolve` gave the right to end the task.
            unsafe { task.put_value(value) };
            Ran::Done
        }
        result => {
            let cause = match (timed_out, result) {
                (Some(limit), result) => {
                    panics::contain(|| drop(result));
                    Cause::timed_out(limit)
                }
                (None, Some(Err(cause))) => cause,
                (None, _) => unreachable!("matched above"),
            };
            let Some(spare) = spare else { return Ran::Failed(cause) };
            // SAFETY: the old arguments were dropped by `attempt`; the claimer alone touches them.
            unsafe { arguments.write(spare.into_inner()) };
            Ran::Again(cause)
        }
    }
}
