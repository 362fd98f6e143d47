//! Letting tasks in that read or make large values: the keeper says when, and until then they are parked.
//!
//! A task asks once it is claimed, so nobody else runs it meanwhile. If it has to wait, it is parked like one that pauses before
//! another attempt: with an edge of its own, which the keeper's answer takes back. Then it is queued, claimed and asks again,
//! and is let in because it was let in before.

use super::launch::launch;
use super::{again, attempt, cancel_because, context, inject, outside, queue};
use crate::gate::{Gate, Satisfied};
use crate::task::arg::Arg;
use crate::task::handle::Handle;
use crate::task::kept::{self, Pin, Wish, keeper};
use crate::task::{Call, Function, GATED, HOME, Header, KEPT, PLACED, TaskRef};
use poniard_model::{Cause, ChunkId, Data, Site, TaskError, TaskId};
use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A task that has asked to be let in.
enum Waiting {
    /// It is just asking.
    Asking,
    /// It was let in before it was here.
    Admitted,
    /// It was refused before it was here.
    Refused(Cause),
    /// It lies here, with the engine's reference.
    Parked(TaskRef),
}

static WAITING: Mutex<Option<HashMap<TaskId, Waiting>>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<HashMap<TaskId, Waiting>>> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with<R>(work: impl FnOnce(&mut HashMap<TaskId, Waiting>) -> R) -> R {
    work(lock().get_or_insert_default())
}

/// The parked tasks, none of which goes on, or gives its arguments back, before this is dropped.
pub(super) struct Parking(MutexGuard<'static, Option<HashMap<TaskId, Waiting>>>);

impl Parking {
    pub(super) fn lock() -> Parking {
        Parking(lock())
    }

    /// How many there are to look at.
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, HashMap::len)
    }

    /// Those that read the value of a chunk.
    pub(super) fn readers(&self, chunk: ChunkId) -> Vec<NonNull<Header>> {
        let mut readers = Vec::new();
        for waiting in self.0.iter().flat_map(HashMap::values) {
            let Waiting::Parked(task) = waiting else { continue };
            // SAFETY: it is claimed, has not run, and does not leave while the lock is held.
            unsafe {
                task.reads(&mut |input| {
                    if ChunkId::from(input.id()) == chunk {
                        readers.push(task.as_non_null());
                    }
                });
            }
        }
        readers
    }
}

/// Spawns a task of the engine's own.
pub(super) fn spawn<A: Arg, R: Data>(
    arguments: A,
    body: Function<A, R>,
    site: &'static Site,
    flags: u32,
) -> Handle<R> {
    let context = context::get();
    let task = TaskRef::new(arguments, Call(body), site, context.new_identity(), Gate::wiring(), None);
    task.set_flags(flags | HOME);
    launch(context, &task, true);
    Handle::from_task(task)
}

/// Waits until what is in memory is within the budget.
///
/// # Errors
/// When it cannot be brought there.
pub fn await_room() -> Result<(), TaskError> {
    static SITE: Site = Site::new("wait for memory", file!(), line!());
    // It asks for one byte: none is always there.
    SITE.learn_result(1);
    let task: Handle<()> = spawn((), |()| Ok(()), &SITE, GATED);
    task.cloned()
}

/// Lets a task in that had to wait.
pub fn admit(task: TaskId) {
    settle(task, Waiting::Admitted);
}

/// Ends a task that had to wait and cannot be let in.
pub fn refuse(task: TaskId, cause: Cause) {
    settle(task, Waiting::Refused(cause));
}

/// Tells a task that asked what came of it, now or when it is parked.
fn settle(task: TaskId, answer: Waiting) {
    let parked = with(|waiting| {
        let asked = waiting.get_mut(&task)?;
        match std::mem::replace(asked, answer) {
            Waiting::Parked(parked) => Some((parked, waiting.remove(&task)?)),
            _ => None,
        }
    });
    if let Some((parked, answer)) = parked {
        go_on(parked, answer);
    }
}

/// Goes on with a task that was parked.
fn go_on(task: TaskRef, answer: Waiting) {
    if let Waiting::Refused(cause) = answer {
        let cause = Cell::new(Some(cause));
        cancel_because(&task, || cause.take().expect("a task fails once"), 0);
    }
    outside::forget(&task);
    match task.gate.satisfy() {
        // At the end of a common queue: this thread may be no worker.
        Satisfied::Ready if task.flags() & PLACED == 0 => inject(task),
        Satisfied::Ready => queue(task),
        // SAFETY: the task ended while it was parked, and the pause was its only edge.
        Satisfied::Spent => unsafe { task.drop_arguments() },
        Satisfied::Waiting => unreachable!("a parked task has one edge"),
    }
}

/// Lets a claimed task in that will run here, with what it reads pinned; or parks it.
#[cold]
pub(crate) fn let_in(task: TaskRef) -> Option<(TaskRef, Vec<Pin>)> {
    let is_beside = task.is_beside();
    admit_to(task, is_beside)
}

/// The same for one that will run in another process: it takes no processor of this one. One that reads what is with other processes
/// does not ask, if the rest is in memory: it goes without.
#[cold]
pub(super) fn let_leave(task: TaskRef) -> Option<(TaskRef, Vec<Pin>)> {
    match beside_remote(&task) {
        Some(Beside { pins, .. }) => Some((task, pins)),
        None => admit_to(task, true),
    }
}

/// What a task reads of this process beside values that are with others.
pub(super) struct Beside {
    pub(super) pins: Vec<Pin>,
    /// Bytes of the values that are with others, and of those that are here.
    pub(super) remote_bytes: u64,
    pub(super) bytes: u64,
}

/// `None` when nothing that a claimed task reads is with others, or something is on disk.
pub(super) fn beside_remote(task: &TaskRef) -> Option<Beside> {
    if !kept::are_some_remote() {
        return None;
    }
    let mut beside = Beside { pins: Vec::new(), remote_bytes: 0, bytes: 0 };
    let mut is_here = true;
    let mut look = |input: &TaskRef| {
        let chunk = input.id().into();
        if input.flags() & KEPT == 0 {
            return;
        }
        if let Some(bytes) = kept::remote_bytes(chunk) {
            beside.remote_bytes += bytes;
        } else if let Some(pin) = Pin::of(chunk) {
            beside.bytes += kept::bytes(chunk).unwrap_or(0);
            beside.pins.push(pin);
        } else {
            is_here = false;
        }
    };
    // SAFETY: the caller has claimed the task, and it has not run.
    unsafe { task.reads(&mut look) };
    (is_here && beside.remote_bytes > 0).then_some(beside)
}

fn admit_to(task: TaskRef, is_beside: bool) -> Option<(TaskRef, Vec<Pin>)> {
    let Some(keeper) = keeper() else { return Some((task, Vec::new())) };
    task.set_flags(GATED);
    let id = task.id();
    let declared = task.extra().map_or(0, |extra| extra.demand.memory);
    with(|waiting| waiting.insert(id, Waiting::Asking));
    let learned = task.site.result_bytes().or_else(|| (!task.may_be_large()).then_some(0));
    let result = learned.or((declared > 0).then_some(0)).map(|learned| learned.max(declared));
    let wish = Wish { result, site: task.site, is_beside, again: again::made_by(&task) };
    if !keeper.asks(id, wish) {
        park(task);
        return None;
    }
    with(|waiting| waiting.remove(&id));
    let (mut pins, mut missing) = (Vec::new(), None);
    let mut pin = |input: &TaskRef| {
        if input.flags() & KEPT != 0 {
            match Pin::of(input.id().into()) {
                Some(pin) => pins.push(pin),
                None => missing = Some(input.id()),
            }
        }
    };
    // SAFETY: the caller has claimed the task, and it has not run.
    unsafe { task.reads(&mut pin) };
    let Some(missing) = missing else { return Some((task, pins)) };
    debug_assert!(false, "{id} was let in without its input {missing}");
    drop(pins);
    let reason = format!("its input {} is not in memory, though the keeper says so", ChunkId::from(missing));
    if task.resolve() {
        super::finish::fail(&task, 0, Cause::scheduling(reason));
    }
    // SAFETY: the claim is the caller's, and the task has not run.
    unsafe { task.drop_arguments() };
    None
}

/// Parks a claimed task until it is let in.
fn park(task: TaskRef) {
    let id = task.id();
    // An edge of the task, like an input: queue entries that are left do not start it.
    outside::show(&task);
    task.gate.pause();
    let again = task.clone();
    let answered = with(|waiting| match waiting.remove(&id) {
        Some(answer @ (Waiting::Admitted | Waiting::Refused(_))) => Some((task, answer)),
        _ => {
            waiting.insert(id, Waiting::Parked(task));
            None
        }
    });
    match answered {
        Some((task, answer)) => go_on(task, answer),
        // A cancel or a halt that came before it was parked found it running, and left.
        None => drop(attempt::end_if_asked(&again)),
    }
}

/// How many tasks wait to be let in.
pub(super) fn parked() -> usize {
    lock().as_ref().map_or(0, HashMap::len)
}

/// Takes back up to so many tasks that wait to be let in, may leave, and read nothing large: those whose turn is last, the very last one
/// last. They are ready, and nobody's.
pub(super) fn unpark(count: usize, may_leave: fn(&TaskRef) -> bool) -> Vec<TaskRef> {
    if count == 0 {
        return Vec::new();
    }
    let mut ids: Vec<TaskId> = with(|waiting| {
        let may_go = |(id, waiting): (&TaskId, &Waiting)| match waiting {
            Waiting::Parked(task) if may_leave(task) && reads_nothing_large(task) => Some(*id),
            _ => None,
        };
        waiting.iter().filter_map(may_go).collect()
    });
    ids.sort_unstable();
    ids.drain(..ids.len().saturating_sub(count));
    ids.into_iter().filter_map(take_back).collect()
}

/// Whether none of what a parked task reads is kept. Under the lock of those that wait.
fn reads_nothing_large(task: &TaskRef) -> bool {
    let mut reads_some = false;
    // SAFETY: it is claimed, has not run, and does not leave while the lock is held.
    unsafe { task.reads(&mut |input| reads_some |= input.flags() & KEPT != 0) };
    !reads_some
}

/// Takes back a task that waits to be let in. What the keeper says of it from now on, it says to nobody.
fn take_back(id: TaskId) -> Option<TaskRef> {
    let parked = with(|waiting| match waiting.entry(id) {
        Entry::Occupied(entry) if matches!(entry.get(), Waiting::Parked(_)) => Some(entry.remove()),
        _ => None,
    });
    let Some(Waiting::Parked(task)) = parked else { return None };
    if let Some(keeper) = keeper() {
        keeper.ended(id, None);
    }
    task.clear_flags(GATED);
    outside::forget(&task);
    match task.gate.satisfy() {
        Satisfied::Ready => Some(task),
        Satisfied::Spent => {
            // SAFETY: the task ended while it was parked, and the pause was its only edge.
            unsafe { task.drop_arguments() };
            None
        }
        Satisfied::Waiting => unreachable!("a parked task has one edge"),
    }
}

/// Tells the keeper that a task has failed that it knows of, and lets go of it if it was parked.
#[cold]
pub(crate) fn failed(task: &Header) {
    if let Some(keeper) = keeper() {
        keeper.ended(task.id(), None);
    }
    let parked = with(|waiting| match waiting.entry(task.id()) {
        Entry::Occupied(entry) if matches!(entry.get(), Waiting::Parked(_)) => Some(entry.remove()),
        Entry::Occupied(mut entry) => {
            // It is about to be parked, finds this, and goes on: there is nobody else to take its edge back.
            if matches!(entry.get(), Waiting::Asking) {
                entry.insert(Waiting::Admitted);
            }
            None
        }
        Entry::Vacant(_) => None,
    });
    if let Some(Waiting::Parked(parked)) = parked {
        go_on(parked, Waiting::Admitted);
    }
}

/// A task that was let in waits for its next attempt.
pub(super) fn pauses(task: &TaskRef) {
    if let Some(keeper) = keeper().filter(|_| task.flags() & GATED != 0) {
        keeper.paused(task.id());
    }
}

/// Its next attempt begins.
pub(super) fn resumes(task: &TaskRef) {
    if let Some(keeper) = keeper().filter(|_| task.flags() & GATED != 0) {
        keeper.resumed(task.id());
    }
}

/// Tells the keeper that the tasks which a thread is in the middle of wait, until this is dropped.
#[derive(Debug)]
#[must_use = "they go on when this is dropped"]
pub struct Paused(Vec<TaskId>);

impl Paused {
    /// Those of the thread that calls this.
    pub fn here() -> Paused {
        Paused::now(context::get())
    }

    pub(super) fn now(context: &context::Context) -> Paused {
        let gated = context.frames().filter(|task| task.flags() & GATED != 0);
        let mut tasks: Vec<TaskId> = gated.map(Header::id).collect();
        // A task that is polled has two frames.
        tasks.sort_unstable();
        tasks.dedup();
        if let Some(keeper) = keeper() {
            tasks.iter().for_each(|task| keeper.paused(*task));
        }
        Paused(tasks)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        if let Some(keeper) = keeper() {
            self.0.iter().for_each(|task| keeper.resumed(*task));
        }
    }
}
