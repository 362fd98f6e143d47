//! Tasks that run in another process: they are packed here, carried away, and ended when their result comes home.
//!
//! To the rest of the engine such a task is one whose body has left its thread, like a future's: it is claimed, holds no
//! processor, and may be cancelled, halted, or run out of time meanwhile. Unlike theirs its arguments stay in place. They
//! belong to the [`Away`], which gives them back when the task is over, or packs them once more when its process is lost.

use super::attempt;
use super::context::{self, Counts};
use super::lend::put_back;
use super::promise::{claim, done};
use super::{Engine, admission, cancel, finish, halt, keeping, outside, queue, run};
use crate::me::me;
use crate::panics;
use crate::task::extra::Extra;
use crate::task::handle::AnyHandle;
use crate::task::parcel::{Homecoming, Packed, Parcel};
use crate::task::{CANCELLED, DETACHED, GATED, HALTED, HOME, TIMED_OUT, TaskRef, kept, weak};
use poniard_model::codec::Encoded;
use poniard_model::{Cause, FailedTask, Scope, TaskError, WorkerId};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Who takes tasks to other processes.
pub trait Carrier: Send + Sync {
    /// Takes a task. It must be short, and not end the task before it returns.
    fn carry(&self, away: Away);
    /// So many processors have nothing to do; 0: they have again. Told whenever one more has nothing to do.
    fn idle(&self, processors: u32);
    /// There is a ready task, as was asked by [`want_work`](super::lend::want_work).
    fn have_work(&self);
}

static CARRIER: OnceLock<&'static dyn Carrier> = OnceLock::new();

/// Says who takes tasks to other processes, for good; the first call counts.
pub fn set_carrier(carrier: &'static dyn Carrier) {
    let _ = CARRIER.set(carrier);
}

/// Somebody is called for work: another process may want some, and those who waited for work here have it.
pub(super) fn have_work(any: bool, engine: &Engine) {
    let Some(carrier) = CARRIER.get() else { return };
    if any && engine.crew.was_wanted() {
        carrier.have_work();
    }
    if TOLD_IDLE.load(Ordering::Relaxed) > 0 {
        let _telling = telling();
        // Relaxed, here and in `run_dry`: it changes under the lock alone, and whoever misses it before the lock is no later than
        // the word that is being told.
        if TOLD_IDLE.swap(0, Ordering::Relaxed) > 0 {
            carrier.idle(0);
        }
    }
}

/// A thread has found no work.
pub(super) fn run_dry(engine: &Engine) {
    if let Some(carrier) = CARRIER.get() {
        let _telling = telling();
        let free = engine.crew.free();
        if free > 0 {
            TOLD_IDLE.store(free, Ordering::Relaxed);
            carrier.idle(free);
        }
    }
}

/// Whether more processors have nothing to do than the carrier was told.
pub(super) fn is_idle_untold(engine: &Engine) -> bool {
    CARRIER.get().is_some() && engine.crew.free() > TOLD_IDLE.load(Ordering::Relaxed)
}

/// How many processors have nothing to do, as the carrier was told last.
static TOLD_IDLE: AtomicU32 = AtomicU32::new(0);

/// Held over each word to the carrier of who has nothing to do, so that the last one is the one that holds.
fn telling() -> MutexGuard<'static, ()> {
    static TELLING: Mutex<()> = Mutex::new(());
    TELLING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task that is to run in another process, with the right, and the duty, to end it. Dropped, it makes the task fail.
pub struct Away {
    task: Option<TaskRef>,
    /// Which attempt began with this trip.
    first: u32,
    parcel: Option<Parcel>,
    homecoming: Homecoming,
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
    if let Some((task, pins)) = admission::let_leave(task) {
        kept::holding(pins, || {
            leave(engine, task);
            kept::let_go();
        });
    }
}

/// Has a task that was packed taken to where its inputs are.
pub(super) fn carry(away: Away) {
    match CARRIER.get() {
        Some(carrier) => carrier.carry(away),
        None => away.stay_for_good(),
    }
}

/// Begins an attempt of a claimed task, in another process.
fn leave(engine: &'static Engine, task: TaskRef) {
    attempt::begin(engine, &task);
    // SAFETY: the caller has claimed it, and a ready task's inputs have ended well.
    let ran = unsafe { task.run() };
    run::after_unusual(task, ran);
}

/// Hands a task that was packed to the carrier.
pub(super) fn depart(task: TaskRef, Packed { parcel, homecoming }: Packed) {
    let refusal = match (parcel, CARRIER.get()) {
        (Ok(parcel), Some(carrier)) => return carrier.carry(Away::new(task, parcel, homecoming)),
        (Ok(_), None) => "no process is there to take it".to_owned(),
        (Err(unmovable), _) => unmovable.to_string(),
    };
    let scope = task.extra().and_then(|extra| extra.elsewhere.as_ref());
    let scope = scope.map_or_else(String::new, |scope| format!(" to scope `{scope}`"));
    give_arguments_back(&task);
    if task.resolve() {
        let cause = Cause::scheduling(format!("cannot go{scope}: {refusal}"));
        finish::fail(&task, task.attempt(), cause);
    }
}

impl Away {
    /// Of a claimed task that was packed.
    pub(super) fn new(task: TaskRef, parcel: Parcel, homecoming: Homecoming) -> Away {
        task.set_flags(DETACHED);
        outside::show(&task);
        // A halt or a cancel that came just before has not found it there, and relied on who runs it.
        if task.is_halted() {
            halt::fail(&task);
        } else if task.flags() & CANCELLED != 0 {
            cancel(&task);
        }
        Away { first: task.attempt(), task: Some(task), parcel: Some(parcel), homecoming }
    }

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

    /// Where the task has to run; `None` for one that could run here.
    pub fn scope(&self) -> Option<&Scope> {
        self.extra().elsewhere.as_ref()
    }

    /// Lets a task run here, and nowhere else, that was to be lent.
    pub fn stay_for_good(self) {
        self.task().set_flags(HOME);
        self.stay();
    }

    /// Lets a task run here that was to be lent.
    pub fn stay(mut self) {
        if let Some(task) = self.task.take() {
            if let Some(extra) = task.extra() {
                // It was not begun.
                extra.attempt.fetch_sub(1, Ordering::Relaxed);
            }
            come_back(task);
        }
    }

    /// What the task asked for beyond its function and its arguments.
    pub fn extra(&self) -> &Extra {
        self.task().extra().expect("who goes away has an extra")
    }

    /// Whether all its attempts are made where it goes, and the time of each is taken there.
    pub fn is_tried_there(&self) -> bool {
        self.task().is_tried_there()
    }

    /// Which attempt it is, from 1.
    pub fn attempt(&self) -> u32 {
        self.task().attempt()
    }

    /// Whether somebody has ended the task, or wants it to stop.
    pub fn is_over(&self) -> bool {
        self.task().flags() & (CANCELLED | HALTED | TIMED_OUT) != 0 || self.extra().is_resolved()
    }

    /// Ends the task with its result; one that comes after somebody else has ended it is dropped.
    pub fn finish(mut self, value: &Encoded) {
        let value = match self.homecoming.read(value) {
            Ok(value) => value,
            Err(cause) => return self.fail_for_good(me(), cause),
        };
        let Some(task) = self.task.take() else { return };
        give_arguments_back(&task);
        if claim(&task) {
            // SAFETY: it was packed with this, and `claim` gave the right to end it.
            unsafe { self.homecoming.put(&task, value) };
            done(task);
        } else {
            panics::contain(|| drop(value));
        }
    }

    /// Ends the task with a result of so many bytes that stays with the process that made it. False when somebody else has ended the
    /// task before: nobody will ask for that result.
    pub fn finish_there(mut self, bytes: u64) -> bool {
        let Some(task) = self.task.take() else { return false };
        give_arguments_back(&task);
        let is_ours = claim(&task);
        if is_ours {
            weak::mark(&task);
            Counts::add_one(&context::get().counts.done);
            if let Some(next) = keeping::finish_remote(task, bytes) {
                queue(next);
            }
        }
        is_ours
    }

    /// Whether the task's result may stay with the process that made it: it may be large, and somebody looks after such results.
    pub fn may_rest_there(&self) -> bool {
        self.task().may_be_large() && kept::keeper().is_some()
    }

    /// Ends the attempt with a failure on this worker; another one follows if the task's retries say so.
    pub fn fail(mut self, worker: WorkerId, cause: Cause) {
        let may_retry = |extra: &Extra| {
            let has_more = extra.retries.as_ref().is_some_and(|retries| self.attempt() <= retries.max);
            has_more && !extra.is_resolved()
        };
        if self.is_tried_there() || !may_retry(self.extra()) {
            return self.fail_for_good(worker, cause);
        }
        if let Some(task) = self.task.take() {
            let error = error_of(&task, worker, cause);
            end_attempt(&task);
            attempt::try_again_after(task, error);
        }
    }

    /// Ends the task with a failure on this worker.
    pub fn fail_for_good(mut self, worker: WorkerId, cause: Cause) {
        let Some(task) = self.task.take() else { return };
        let error = error_of(&task, worker, cause);
        give_arguments_back(&task);
        if claim(&task) {
            finish::fail_with(&task, error);
        }
    }

    /// Says how many attempts of this trip were begun elsewhere: those of earlier ones, which failed, come before them.
    pub fn set_begun(&self, attempts: u32) {
        self.extra().attempt.store(self.first - 1 + attempts, Ordering::Relaxed);
    }

    /// Has the task carried away once more, or run here if it may: its process is lost.
    pub fn again(mut self) {
        if let Some(task) = self.task.take() {
            if task.extra().is_some_and(Extra::follows) {
                // Else it would follow its inputs once more.
                task.set_flags(HOME);
            }
            come_back(task);
        }
    }

    fn task(&self) -> &TaskRef {
        self.task.as_ref().expect("it goes with the end only")
    }
}

fn error_of(task: &TaskRef, worker: WorkerId, cause: Cause) -> TaskError {
    let failed = FailedTask { worker, ..task.as_failed(task.attempt()) };
    TaskError::new(failed, if task.is_halted() { Cause::halted() } else { cause })
}

/// Queues a task once more.
fn come_back(task: TaskRef) {
    if task.extra().is_some_and(Extra::is_resolved) {
        return give_arguments_back(&task);
    }
    end_attempt(&task);
    task.gate.reopen();
    if !attempt::end_if_asked(&task) {
        put_back(task);
    }
}

/// The attempt is over, and the task is nobody's.
fn end_attempt(task: &TaskRef) {
    outside::forget(task);
    if let Some(extra) = task.extra() {
        extra.attempt_ended();
        extra.forget_abort();
        extra.set_lent(false);
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
            if claim(&task) {
                finish::fail(&task, 1, Cause::cancelled("because what was to end it was dropped"));
            }
        }
    }
}

impl fmt::Debug for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Away").field(&self.task).finish()
    }
}
