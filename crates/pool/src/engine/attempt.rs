//! Attempts: their time limit, and what follows when they fail.

use super::{context, finish, promise, queue};
use crate::task::extra::Attempt;
use crate::task::{CANCELLED, PAUSED, TIMED_OUT, TaskRef};
use crate::timer;
use poniard_model::{Cause, TaskError};
use poniard_trace::{Event, note};
use std::sync::atomic::Ordering::Relaxed;

/// Counts an attempt that begins now, and starts its clock.
pub(super) fn begin(task: &TaskRef) {
    let Some(extra) = task.extra() else { return };
    let number = extra.attempt.fetch_add(1, Relaxed) + 1;
    let Some(limit) = extra.timeout else { return };
    let context = context::current();
    let let_go: Box<dyn FnOnce() + Send> = Box::new(move || {
        if let Some(context) = context {
            context.leave_processor();
        }
    });
    *extra.running() = Attempt { number, let_go: Some(let_go), timed_out: false };
    let task = task.clone();
    timer::after(limit, Box::new(move || expire(&task, number)));
}

/// The time of attempt `number` is over.
fn expire(task: &TaskRef, number: u32) {
    let Some((extra, limit)) = task.extra().and_then(|extra| Some((extra, extra.timeout?))) else { return };
    let again = {
        let mut running = extra.running();
        if running.number != number {
            return;
        }
        let first = !std::mem::replace(&mut running.timed_out, true);
        first && extra.retries.as_ref().is_some_and(|retries| number <= retries.max)
    };
    task.set_flags(TIMED_OUT);
    if again {
        // The next attempt needs this one's end: a body that looks at `cancelled` gets as long again to come to it.
        let task = task.clone();
        return timer::after(limit, Box::new(move || expire(&task, number)));
    }
    if extra.resolve() {
        finish::fail(task, number, Cause::timed_out(limit));
        extra.abort();
        // The body may go on for ever; its processor goes on without it. Under the lock: the attempt has not ended.
        let mut running = extra.running();
        if running.number == number
            && let Some(let_go) = running.let_go.take()
        {
            let_go();
        }
    }
}

/// Runs a failed task again, after its pause, if its retries say so.
pub(super) fn try_again(task: TaskRef, cause: Cause, halted: bool) {
    let attempt = task.attempt();
    let error = TaskError::new(task.as_failed(attempt), if halted { Cause::halted() } else { cause });
    let retries =
        task.extra().and_then(|extra| extra.retries.as_ref()).expect("it was copied for another attempt");
    if !retries.again(attempt, &error) || task.flags() & CANCELLED != 0 {
        // SAFETY: the claim is ours, and the fresh copy of the arguments was not opened.
        unsafe { task.drop_arguments() };
        if task.resolve() {
            finish::fail_with(&task, error);
        }
        return;
    }
    note(|| Event::Retried { task: task.id, attempt });
    task.clear_flags(TIMED_OUT);
    let pause = retries.delay(attempt);
    if pause.is_zero() {
        task.gate.reopen();
        return queue(task);
    }
    task.set_flags(PAUSED);
    promise::remember(&task);
    task.gate.reopen();
    timer::after(
        pause,
        Box::new(move || {
            task.clear_flags(PAUSED);
            queue(task);
        }),
    );
}
