//! What the keeper is told of large values: that one was made, and who will read it.

use super::finish::{satisfy_all, satisfy_each};
use super::{again, circles};
use crate::edge::{Chain, Ended, Waiter};
use crate::task::arg::TaskWaiter;
use crate::task::kept::{KEPT_BYTES_MIN, Keeper, keep, keep_remote, keeper};
use crate::task::{GATED, Header, KEPT, TaskRef};
use std::ptr::NonNull;

/// Told of a task that was being wired and met values that are kept: it will read them.
#[cold]
pub(crate) fn will_read(task: &TaskRef) {
    let Some(keeper) = keeper() else { return };
    task.set_flags(GATED);
    let mut tell = |input: &TaskRef| {
        if input.dependents.ended().is_some() && input.flags() & KEPT != 0 {
            keeper.reads(task.id(), input.id().into());
        }
    };
    // SAFETY: the caller is wiring the task.
    unsafe { task.reads(&mut tell) };
}

/// Ends a task that has asked, or whose result may be large: the keeper learns of it before anybody else.
#[cold]
#[inline(never)]
pub(crate) fn finish(task: TaskRef, seal: impl FnOnce(&TaskRef) -> Chain) -> Option<TaskRef> {
    if let Some(chunk) = again::made_by(&task) {
        return again::done(task, chunk, seal);
    }
    let made = keeper().and_then(|keeper| {
        // SAFETY: the value was put into its slot, and nobody takes it before the seal.
        let bytes = unsafe { task.heap_bytes() };
        let is_large = bytes >= KEPT_BYTES_MIN;
        let (known, now) = (task.site.result_bytes(), if is_large { bytes as u64 } else { 0 });
        if is_large || known.is_none_or(|known| known >= KEPT_BYTES_MIN as u64) {
            task.site.learn_result(now);
        }
        if known.is_none() {
            keeper.learned(task.site, now);
        }
        let made = is_large.then(|| keep(&task, bytes));
        match made {
            _ if task.flags() & GATED != 0 => keeper.ended(task.id(), made),
            Some(made) => keeper.made(made),
            None => {}
        }
        made.map(|made| (keeper, made))
    });
    if let Some(extra) = task.extra().filter(|_| made.is_none()) {
        extra.forget_lineage();
    }
    let chain = seal(&task);
    let Some((keeper, made)) = made else {
        drop(task);
        return satisfy_all(chain);
    };
    tell_readers(task, keeper, chain, || keeper.unpin(made.chunk))
}

/// Ends a task whose value, of so many bytes, is with the process that made it: whoever reads it has it fetched.
pub(crate) fn finish_remote(task: TaskRef, bytes: u64) -> Option<TaskRef> {
    let keeper = keeper().expect("whoever has sent the task away looks after large values");
    task.site.learn_result(bytes);
    keeper.learned(task.site, bytes);
    let made = keep_remote(&task, bytes);
    if task.flags() & GATED != 0 {
        keeper.ended(task.id(), Some(made))
    } else {
        keeper.made(made)
    }
    let chain = circles::sealed(&task, Ended::Done);
    tell_readers(task, keeper, chain, || {})
}

/// Tells the keeper who reads the value of a task that has just ended, and lets them go on.
fn tell_readers(
    task: TaskRef,
    keeper: &dyn Keeper,
    mut chain: Chain,
    then: impl FnOnce(),
) -> Option<TaskRef> {
    let waiters: Vec<TaskWaiter> = std::iter::from_fn(|| chain.pop()).collect();
    for waiter in &waiters {
        if let Waiter::Task(dependent) = waiter {
            // SAFETY: its edge keeps it and its arguments, and is not taken back yet.
            unsafe { tell_reader(keeper, *dependent, &task) };
        }
    }
    then();
    // Before the dependents run: the last of them may want to take the value out.
    drop(task);
    satisfy_each(waiters)
}

/// Tells the keeper that `dependent` will read the value of `task`, if it will.
///
/// # Safety
/// The dependent hangs on the task by an edge that is not taken back.
unsafe fn tell_reader(keeper: &dyn Keeper, dependent: NonNull<Header>, task: &TaskRef) {
    // SAFETY: the caller's promise; the reference is not used beyond that.
    let dependent = std::mem::ManuallyDrop::new(unsafe { TaskRef::from_raw(dependent.as_ptr()) });
    let mut is_read = false;
    // SAFETY: a task keeps its arguments until all its edges are back.
    unsafe { dependent.reads(&mut |input| is_read |= input == task) };
    if is_read {
        dependent.set_flags(GATED);
        keeper.reads(dependent.id(), task.id().into());
    }
}
