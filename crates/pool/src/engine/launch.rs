//! Launching: a task hangs itself on its inputs, and is queued when all have ended.

use super::context::{self, Context};
use super::{admission, cancel, finish, get, keeping, persistent, queue, queue_plain, turns};
use crate::gate::{INPUTS_MAX, Satisfied, Wired};
use crate::task::arg::Wiring;
use crate::task::extra::Extra;
use crate::task::{CANCELLED, GATED, TaskRef};
use poniard_model::Cause;
use poniard_trace::{Event, note};
use std::sync::atomic::{Ordering, fence};

/// Launches a task that was made with a wiring or a ready gate, on the thread that made it.
#[inline]
pub(crate) fn launch(context: &'static Context, task: &TaskRef, waits: bool) {
    note(|| Event::Spawned { task: task.id(), site: task.site });
    if waits {
        wire(task);
    } else {
        // SAFETY: the engine's reference of a new task is nobody's yet.
        queue_plain(context, unsafe { TaskRef::from_raw(task.as_raw()) });
    }
}

/// Launches a task that a region held back.
pub(crate) fn launch_held(task: &TaskRef, extra: Option<Box<Extra>>) {
    if !task.gate.launch() {
        // It was cancelled meanwhile.
        return drop_engine_reference(task);
    }
    // A halt meanwhile has not touched it: it was a plan, and is spawned now.
    task.enter(context::get().epoch());
    if let Some(extra) = extra {
        task.set_extra(extra);
    }
    note(|| Event::Spawned { task: task.id(), site: task.site });
    wire(task);
    // A cancel that came while we wired has left its mark and nothing else. SeqCst: pairs with the fence in `cancel`.
    fence(Ordering::SeqCst);
    if task.flags() & CANCELLED != 0 {
        cancel(task);
    }
}

fn drop_engine_reference(task: &TaskRef) {
    // SAFETY: the caller says that nobody else has the engine's reference.
    drop(unsafe { TaskRef::from_raw(task.as_raw()) });
}

/// Hangs a task on its inputs, and queues it when all have ended.
#[inline]
fn wire(task: &TaskRef) {
    let mut wiring = Wiring::new(task);
    if poniard_trace::is_on() {
        // SAFETY: the caller builds the task.
        unsafe { task.inputs(&mut |input| note(|| Event::Input { task: task.id(), of: input.id() })) };
    }
    // SAFETY: the gate is wiring, and only the caller has the arguments.
    unsafe { task.wire(&mut wiring) };
    if let Some(extra) = task.extra() {
        extra.wire_order(&mut wiring);
        persistent::keep(task);
    }
    if wiring.meets_kept {
        keeping::will_read(task);
    }
    assert!(wiring.edges < INPUTS_MAX, "a task has at most {INPUTS_MAX} inputs");
    let refused = wiring.failed.as_ref().map(Cause::upstream).or_else(|| why_impossible(task));
    let refused = refused.or_else(|| wiring.refused.take().map(Cause::scheduling));
    let refused = match refused {
        None if !wiring.accesses.is_empty() => turns::enter(task, &mut wiring).err(),
        refused => refused,
    };
    if let Some(cause) = refused {
        task.gate.refuse();
        return reject(task, cause, wiring.edges);
    }
    match task.gate.wired(wiring.edges) {
        Wired::Waiting => {}
        // SAFETY: the engine's reference is ours while no edge is out.
        Wired::Ready => queue(unsafe { TaskRef::from_raw(task.as_raw()) }),
        Wired::Poisoned => reject(task, failed_input(task), wiring.edges),
    }
}

/// Ends a task that is being wired and will not run.
#[cold]
fn reject(task: &TaskRef, cause: Cause, edges: u32) {
    if task.resolve() {
        finish::fail(task, 0, cause);
    }
    if task.gate.unwire(edges) == Satisfied::Spent {
        if task.flags() & GATED != 0 {
            // It may have been told of an input after it had failed.
            admission::failed(task);
        }
        // SAFETY: no edge is out, and the task did not run.
        unsafe { task.drop_arguments() };
        drop_engine_reference(task);
    }
}

/// The failed input of a task that was poisoned while it was wired.
fn failed_input(task: &TaskRef) -> Cause {
    let mut cause = None;
    let mut look = |input: &TaskRef| {
        if let (None, Some(error)) = (&cause, input.error()) {
            cause = Some(Cause::upstream(error));
        }
    };
    // SAFETY: the task is still wiring, so its arguments stay.
    unsafe { task.inputs(&mut look) };
    if let Some(extra) = task.extra() {
        extra.befores(|order| look(&order.after));
    }
    cause.expect("a poisoned task has a failed input")
}

/// Why a task that was just made cannot run.
fn why_impossible(task: &TaskRef) -> Option<Cause> {
    if task.is_halted() {
        return Some(Cause::halted());
    }
    let extra = task.extra()?;
    if let Some(reason) = &extra.impossible {
        return Some(Cause::scheduling(reason.clone()));
    }
    if extra.elsewhere.is_some() {
        // Who has the processors says whether there are enough.
        return None;
    }
    let (asked, there_are) = (extra.demand.width, get().crew.len());
    let fitting = (0..there_are).filter(|processor| extra.demand.fits(*processor)).count() as u32;
    (asked.max(1) > fitting).then(|| {
        let reason =
            format!("asks for {asked} processors with `threads`; {fitting} of the {there_are} fit its scope");
        Cause::scheduling(reason)
    })
}
