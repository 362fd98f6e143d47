//! Attempts: their time limit, and what follows when they fail.

use super::{Engine, admission, cancel, cancel_because, context, finish, outside, queue};
use crate::gate::Satisfied;
use crate::task::extra::Attempt;
use crate::task::{CANCELLED, DETACHED, HALTED, TIMED_OUT, TaskRef};
use crate::timer;
use poniard_model::{Cause, TaskError};
use poniard_trace::{Event, note};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;
use std::time::Instant;

/// Counts an attempt that begins now, and starts its clock.
pub(super) fn begin(engine: &'static Engine, task: &TaskRef) {
    let Some(extra) = task.extra() else { return };
    extra.forget_befores();
    let number = extra.attempt.fetch_add(1, Relaxed) + 1;
    if extra.guest.is_some() {
        extra.begun.get_or_init(Instant::now);
    }
    let limit = extra.timeout.filter(|_| !task.is_tried_there());
    let Some(limit) = limit else { return };
    let context = context::current();
    let let_go: Box<dyn FnOnce() + Send> = Box::new(move || {
        if let Some(context) = context {
            context.let_go(engine);
        }
    });
    let task = task.clone();
    let mut running = extra.running();
    let alarm = Some(timer::alarm(limit, Box::new(move || expire(&task, number))));
    *running = Attempt { number, let_go: Some(let_go), timed_out: false, alarm };
}

/// The time of attempt `number` is over.
fn expire(task: &TaskRef, number: u32) {
    let Some((extra, limit)) = task.extra().and_then(|extra| Some((extra, extra.timeout?))) else { return };
    {
        // All under the lock: who ends the attempt finds it in time or over, and the task resolved or not.
        let mut running = extra.running();
        if running.number != number {
            return;
        }
        task.set_flags(TIMED_OUT);
        let first = !std::mem::replace(&mut running.timed_out, true);
        let can_retry = task.flags() & DETACHED == 0;
        if first && can_retry && extra.retries.as_ref().is_some_and(|retries| number <= retries.max) {
            // The next attempt needs this one's end: a body that looks at `cancelled` gets as long again to come to it.
            let task = task.clone();
            running.alarm = Some(timer::alarm(limit, Box::new(move || expire(&task, number))));
            return;
        }
        if !extra.resolve() {
            return;
        }
    }
    finish::fail(task, number, Cause::timed_out(limit));
    extra.abort();
    // The body may go on for ever; what it holds goes on without it. Under the lock: the attempt has not ended.
    let mut running = extra.running();
    if running.number == number
        && let Some(let_go) = running.let_go.take()
    {
        let_go();
    }
}

/// Runs a failed task again, after its pause, if its retries say so.
pub(super) fn try_again(task: TaskRef, cause: Cause) {
    let attempt = task.attempt();
    let cause = if task.is_halted() { Cause::halted() } else { cause };
    let error = TaskError::new(task.as_failed(attempt), cause);
    try_again_after(task, error);
}

/// As [`try_again`], of an attempt that ended in this error.
pub(super) fn try_again_after(task: TaskRef, error: TaskError) {
    let attempt = task.attempt();
    let retries =
        task.extra().and_then(|extra| extra.retries.as_ref()).expect("it was copied for another attempt");
    let again = crate::panics::caught(|| retries.again(attempt, &error)).unwrap_or(false);
    if !again || task.flags() & CANCELLED != 0 {
        // SAFETY: the claim is ours, and the fresh copy of the arguments was not opened.
        unsafe { task.drop_arguments() };
        if task.resolve() {
            finish::fail_with(&task, error);
        }
        return;
    }
    note(|| Event::Retried { task: task.id(), attempt });
    task.clear_flags(TIMED_OUT);
    let pause = retries.delay(attempt);
    if pause.is_zero() {
        task.gate.reopen();
        return if end_if_asked(&task) { drop(task) } else { queue(task) };
    }
    // The timer has an edge of the task, like an input: queue entries that are left of earlier attempts do not start it.
    outside::show(&task);
    admission::pauses(&task);
    task.gate.pause();
    if end_if_asked(&task) { go_on(task) } else { timer::after(pause, Box::new(move || go_on(task))) }
}

/// Ends a task that waits for its next attempt if a cancel or a halt came before that, found it running, and left.
pub(crate) fn end_if_asked(task: &TaskRef) -> bool {
    // SeqCst: pairs with the fence in `cancel_because`: it finds the gate open, or we find its flag.
    fence(SeqCst);
    if task.is_halted() {
        cancel_because(task, Cause::halted, HALTED);
    } else if task.flags() & CANCELLED != 0 {
        cancel(task);
    } else {
        return false;
    }
    true
}

/// Ends the pause of a task, with the engine's reference.
fn go_on(task: TaskRef) {
    outside::forget(&task);
    admission::resumes(&task);
    match task.gate.satisfy() {
        Satisfied::Ready => queue(task),
        // SAFETY: the task ended while it paused, and the timer's was its only edge.
        Satisfied::Spent => unsafe { task.drop_arguments() },
        Satisfied::Waiting => unreachable!("a paused task has one edge"),
    }
}
