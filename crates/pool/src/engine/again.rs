//! Making a kept value again that was dropped from memory: by a task like the one that made it, whose result moves into the
//! slot of the first.

use super::finish::satisfy_all;
use super::launch::launch;
use super::{context, running};
use crate::edge::Chain;
use crate::epoch;
use crate::task::kept::{self, Remade, keeper};
use crate::task::{GATED, Header, Identity, TAKEN, TaskRef};
use poniard_model::{Cause, ChunkId, TaskError};

/// Spawns the task that makes a kept value again; the keeper is told when it has ended.
pub fn remake(chunk: ChunkId) {
    let context = context::get();
    // Whatever this thread is in the middle of, it does so for somebody who is not halted.
    let identity = Identity { epoch: epoch::now(), ..context.new_identity() };
    let made = kept::with_task(chunk, |task| {
        // While a pool stops, whoever waits ends; no other one is started for that.
        let refused = running().is_none().then(Cause::halted);
        let again = if refused.is_none() { task.again(chunk, identity) } else { None };
        again.ok_or_else(|| {
            let uncopied =
                || Cause::scheduling("its arguments could not be copied, to make its result again");
            TaskError::new(task.as_failed(0), refused.unwrap_or_else(uncopied))
        })
    });
    match made {
        Some(Ok(again)) => {
            // It asks, so that the keeper knows when it waits for others.
            again.set_flags(GATED);
            launch(context, &again, true);
        }
        // Another pool has started meanwhile, and somebody in it may wait already.
        Some(Err(error)) if error.is_halted() && running().is_some() => tell(chunk, Remade::Halted),
        Some(Err(error)) => tell(chunk, Remade::Failed(error)),
        // It is freed by the keeper's word, which comes after the end of this.
        None => {}
    }
}

/// The value that the task makes again.
#[inline]
pub(super) fn made_by(task: &Header) -> Option<ChunkId> {
    task.extra()?.makes_again
}

/// Ends a task that has made a value again: the value moves to where it belongs.
pub(super) fn done(task: TaskRef, chunk: ChunkId, seal: impl FnOnce(&TaskRef) -> Chain) -> Option<TaskRef> {
    // SAFETY: the value was put into its slot, and nobody takes it before the seal.
    let bytes = unsafe { task.heap_bytes() } as u64;
    // SAFETY: as above; `TAKEN` says that the slot is empty.
    let value = unsafe { task.move_value_out() };
    task.set_flags(TAKEN);
    kept::put_back(chunk, value, bytes);
    tell(chunk, Remade::Made(bytes));
    if let Some(keeper) = keeper().filter(|_| task.flags() & GATED != 0) {
        keeper.ended(task.id(), None);
    }
    let chain = seal(&task);
    drop(task);
    satisfy_all(chain)
}

/// The task has failed: if it was to make a value again, the keeper learns of it, and nobody makes its own again.
pub(super) fn failed(task: &Header, error: &TaskError) {
    let Some(extra) = task.extra() else { return };
    extra.forget_lineage();
    if let Some(chunk) = extra.makes_again {
        tell(chunk, if task.is_halted() { Remade::Halted } else { Remade::Failed(error.clone()) });
    }
}

fn tell(chunk: ChunkId, outcome: Remade) {
    if let Some(keeper) = keeper() {
        keeper.remade(chunk, outcome);
    }
}
