//! The pool of this process: queues ready tasks, finds the next one, runs it.

pub(crate) mod admission;
pub(crate) mod again;
pub(crate) mod attempt;
pub(crate) mod away;
mod circles;
pub(crate) mod context;
pub(crate) mod find;
pub(crate) mod finish;
pub(crate) mod guest;
pub(crate) mod halt;
pub(crate) mod handle;
mod keeping;
pub(crate) mod launch;
mod lease;
pub(crate) mod lend;
pub(crate) mod outside;
pub(crate) mod overdue;
mod persistent;
pub(crate) mod promise;
mod run;
pub(crate) mod standing;
pub(crate) mod status;
pub(crate) mod turns;
pub(crate) mod wait;
pub(crate) mod worker;

use crate::board::{Assignment, Board};
use crate::crew::{Berth, Crew, Orders, THREADS_MAX};
use crate::deque::{Deque, Stolen};
use crate::epoch;
use crate::fences;
use crate::gate::Claim;
use crate::me::me;
use crate::panics;
use crate::seats::Seats;
use crate::task::extra::Extra;
use crate::task::{CANCELLED, DETACHED, HALTED, PLACED, TaskRef, ticket};
use crate::timer;
use context::Context;
use poniard_model::{Cause, ProcessorId};
use std::collections::VecDeque;
use std::fmt;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a pool is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// Processors: how many tasks run at a time.
    pub threads: usize,
    /// Bytes that running tasks may have declared together.
    pub memory: u64,
}

/// A pool runs already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs;

/// The pool.
pub(crate) struct Engine {
    pub(crate) crew: Crew,
    pub(crate) seats: Seats,
    pub(crate) board: Board,
    injected: Mutex<VecDeque<TaskRef>>,
    injected_len: AtomicUsize,
    /// Work needs a thread, and there could be no more of them.
    short_of_threads: AtomicBool,
}

static ENGINE: AtomicPtr<Engine> = AtomicPtr::new(null_mut());
/// Guards starting and stopping. Pools that have stopped stay here: threads may still look at them.
static PAST: Mutex<Vec<&'static Engine>> = Mutex::new(Vec::new());
/// How to start a pool when a task is spawned and nobody has.
static BY_DEFAULT: Mutex<Option<fn()>> = Mutex::new(None);

/// The pool that runs now, if one does.
#[inline]
pub(crate) fn running() -> Option<&'static Engine> {
    let engine = ENGINE.load(Ordering::Acquire);
    // SAFETY: pools live for ever.
    unsafe { engine.as_ref() }
}

/// The pool, started if none runs.
#[inline]
pub(crate) fn get() -> &'static Engine {
    running().unwrap_or_else(start_by_default)
}

/// Tells how to start a pool when a task is spawned and nobody has: by a call of [`start`].
pub fn set_default(by_default: fn()) {
    *BY_DEFAULT.lock().unwrap_or_else(PoisonError::into_inner) = Some(by_default);
}

/// How often a pool is started as it was told to be: another thread may just be stopping one, which has to end first.
const STARTS_MAX: usize = 1000;

#[cold]
fn start_by_default() -> &'static Engine {
    let by_default = *BY_DEFAULT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut starts = 0;
    loop {
        match by_default.filter(|_| starts < STARTS_MAX) {
            Some(by_default) => by_default(),
            None => {
                let threads = std::thread::available_parallelism().map_or(1, usize::from);
                // `Runs` is as good: another thread was faster.
                let _ = start(Config { threads, memory: u64::MAX });
            }
        }
        if let Some(engine) = running() {
            return engine;
        }
        starts += 1;
        std::thread::yield_now();
    }
}

/// Starts the pool.
///
/// # Errors
/// When one runs already.
pub fn start(config: Config) -> Result<(), Runs> {
    let past = PAST.lock().unwrap_or_else(PoisonError::into_inner);
    if running().is_some() {
        return Err(Runs);
    }
    fences::prepare();
    panics::install_hook();
    let processors = config.threads.clamp(1, THREADS_MAX / 2);
    let engine: &'static Engine = Box::leak(Box::new(Engine {
        crew: Crew::new(processors),
        seats: Seats::new(),
        board: Board::new(processors as u32, config.memory),
        injected: Mutex::default(),
        injected_len: AtomicUsize::new(0),
        short_of_threads: AtomicBool::new(false),
    }));
    ENGINE.store(std::ptr::from_ref(engine).cast_mut(), Ordering::Release);
    drop(past);
    Ok(())
}

/// Stops the pool: every task that has not ended fails, and its threads end, those within `patience` whose tasks return.
/// The next spawn starts another pool, from when `stopped` has returned.
pub fn stop(patience: std::time::Duration, stopped: impl FnOnce()) {
    let mut past = PAST.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(engine) = running() else { return stopped() };
    // In this order: a task of the past that spawns another does not start a pool for it.
    epoch::advance();
    ENGINE.store(null_mut(), Ordering::Release);
    past.push(engine);
    drop(past);
    stopped();
    // What ends now may have watchers, and they may spawn.
    halt::clear(Some(engine));
    persistent::release_all();
    engine.crew.stop(patience);
}

/// Queues a ready task, with the engine's reference.
#[inline]
pub(crate) fn queue(task: TaskRef) {
    if task.flags() & PLACED != 0 {
        if let Some(engine) = running().or_else(|| start_for(&task)) {
            if task.is_away() { away::send(engine, task) } else { engine.place(task) }
        }
        return;
    }
    queue_plain(context::get(), task);
}

/// Queues a ready task that may run anywhere.
#[inline]
fn queue_plain(context: &'static Context, task: TaskRef) {
    let Some(engine) = running().or_else(|| start_for(&task)) else { return };
    if context.sits(engine) || context.sit_down(engine) {
        // SAFETY: the deque is this thread's.
        unsafe { context.deque.push(task) };
        engine.call();
    } else {
        inject(task);
    }
}

/// Starts a pool for a ready task. A task of a pool that was stopped ends instead.
#[cold]
fn start_for(task: &TaskRef) -> Option<&'static Engine> {
    if task.is_halted() {
        halt::fail(task);
        return None;
    }
    Some(start_by_default())
}

/// Queues a ready task where everybody looks.
pub(crate) fn inject(task: TaskRef) {
    let Some(engine) = running().or_else(|| start_for(&task)) else { return };
    let mut injected = engine.injected();
    injected.push_back(task);
    engine.injected_len.store(injected.len(), Ordering::Relaxed);
    drop(injected);
    // Threads without a seat come by here, and a light fence is for those with one.
    fence(Ordering::SeqCst);
    engine.call();
}

/// Asks a task to stop.
pub(crate) fn cancel(task: &TaskRef) {
    if ticket::cancel(task) {
        return;
    }
    cancel_because(task, || Cause::cancelled("before it started"), CANCELLED);
}

pub(crate) fn cancel_because(task: &TaskRef, cause: impl Fn() -> Cause, flag: u32) {
    task.set_flags(flag);
    // SeqCst: pairs with the fence in `launch_held`.
    fence(Ordering::SeqCst);
    match task.gate.cancel() {
        Claim::Won { edges_left } => {
            if task.resolve() {
                finish::fail(task, 0, cause());
                // A promise is claimed like a waiting task, and somebody works on it.
                task.extra().into_iter().for_each(Extra::abort);
            }
            if !edges_left {
                // SAFETY: no edge is out, and nobody else has claimed the task.
                unsafe { task.drop_arguments() };
            }
        }
        // It runs. A detached body has left its thread, or this process: it is ended here, and told.
        Claim::Lost if task.flags() & DETACHED != 0 && task.resolve() => {
            let when = if task.is_away() { "while it was on another worker" } else { "while it waited" };
            let cause = if flag == HALTED { Cause::halted() } else { Cause::cancelled(when) };
            finish::fail(task, 1, cause);
            if let Some(extra) = task.extra() {
                extra.abort();
            }
        }
        Claim::Lost if task.dependents.ended().is_none() => overdue::asked(task.id()),
        Claim::Lost => {}
    }
}

/// Ends a task as cancelled if it has not begun, and else lets it alone; whether it had not.
pub(crate) fn withdraw(task: &TaskRef) -> bool {
    let Claim::Won { edges_left } = task.gate.cancel() else { return false };
    if task.resolve() {
        finish::fail(task, 0, Cause::cancelled("before it started"));
    }
    if !edges_left {
        // SAFETY: no edge is out, and nobody else has claimed the task.
        unsafe { task.drop_arguments() };
    }
    true
}

impl Engine {
    pub(crate) fn injected(&self) -> MutexGuard<'_, VecDeque<TaskRef>> {
        self.injected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the oldest injected task off.
    fn pop_injected(&self) -> Option<TaskRef> {
        if self.injected_len.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut injected = self.injected();
        let task = injected.pop_front();
        self.injected_len.store(injected.len(), Ordering::Relaxed);
        task
    }

    /// Takes all injected tasks off.
    pub(crate) fn drain_injected(&self) -> Vec<TaskRef> {
        let mut injected = self.injected();
        let tasks = injected.drain(..).collect();
        self.injected_len.store(0, Ordering::Relaxed);
        tasks
    }

    /// Calls a thread, if a task may lie alone.
    #[inline]
    fn call(&'static self) {
        if self.crew.needs_call() {
            self.summon();
        }
    }

    /// Sends a thread to search, if there is work that suits a free processor.
    #[cold]
    fn summon(&'static self) {
        let any = self.has_plain_work();
        away::have_work(any, self);
        self.send_to_search(|processor| any || self.board.wants_idle(processor));
    }

    /// Sends a thread to search with a free processor that is `wanted`.
    fn send_to_search(&'static self, wanted: impl Fn(u32) -> bool) {
        if !self.crew.summon(wanted, &|berth| start_thread(self, berth)) {
            self.await_thread();
        }
    }

    /// Calls a thread after something was let go of, if work is left alone.
    pub(crate) fn call_if_work(&'static self) {
        fence(Ordering::SeqCst);
        if !self.crew.needs_call() {
            return;
        }
        if !self.has_lone_work() {
            if away::is_idle_untold(self) {
                // Nobody looks for work, so nobody would say that there is none. Not at once: there may be some soon.
                return self.send_to_search(|_| true);
            }
            let mine = usize::from(context::get().sits(self));
            if self.seats.taken() <= mine {
                // Nobody else has a deque; who takes a seat now finds the processor free when it pushes.
                return;
            }
            // Who pushes with a light fence may have counted on us just before, and its task may not be in sight yet.
            fences::heavy();
        }
        self.call_if_lone_work();
    }

    /// Calls a thread if work is left alone, after a heavy fence.
    pub(crate) fn call_if_lone_work(&'static self) {
        if self.crew.needs_call() && self.has_lone_work() {
            self.summon();
        }
    }

    /// Whether there is work that a free processor could do.
    fn has_lone_work(&self) -> bool {
        let free = |processor: u32| self.board.wants_idle(processor) && !self.crew.is_taken(processor);
        self.has_plain_work() || (0..self.crew.len()).any(free)
    }

    fn has_plain_work(&self) -> bool {
        self.injected_len.load(Ordering::Relaxed) != 0 || self.seats.iter().any(|deque| !deque.is_empty())
    }

    /// Work for a thread with this processor that was in sight just now. The same work gives the same number.
    pub(crate) fn work_in_sight(&self, processor: u32) -> Option<isize> {
        const PLACED: isize = -1;
        if self.injected_len.load(Ordering::Relaxed) != 0 || self.board.wants_idle(processor) {
            return Some(PLACED);
        }
        self.seats.iter().find_map(Deque::oldest)
    }

    /// A number that changes when threads take tasks off the cold ends of their deques.
    pub(crate) fn tasks_taken(&self) -> isize {
        self.seats.iter().map(Deque::taken).fold(0, isize::wrapping_add)
    }

    /// Lets go of a processor.
    pub(crate) fn release(&'static self, processor: u32) {
        self.crew.release(processor);
        self.call_if_work();
    }

    /// Puts a ready task on the board.
    fn place(&'static self, task: TaskRef) {
        let demand = task.extra().map(|extra| extra.demand.clone()).unwrap_or_default();
        self.board.with(|plan| plan.put(task, demand));
        self.start_beside();
        self.call_if_work();
    }

    /// Starts the tasks that need no processor of their own, as long as there are threads for them.
    fn start_beside(&'static self) {
        while self.board.wants_beside() && self.crew.begin_beside() {
            let Some((task, assignment)) = self.board.with(|plan| plan.beside()) else {
                self.crew.end_beside();
                continue;
            };
            let orders = Orders::Run(task, assignment);
            let deployed = self.crew.deploy(orders, &|berth| start_thread(self, berth));
            if let Err(Orders::Run(task, assignment)) = deployed {
                return self.put_back(task, assignment);
            }
        }
    }

    /// Puts a task that needs a thread back on the board, until one parks.
    #[cold]
    fn put_back(&'static self, task: TaskRef, assignment: Assignment) {
        let demand = task.extra().map(|extra| extra.demand.clone()).unwrap_or_default();
        self.crew.end_beside();
        let freed = self.board.with(|plan| {
            plan.put(task, demand);
            plan.end(assignment)
        });
        for processor in freed {
            self.crew.release(processor);
        }
        self.call_if_work();
        self.await_thread();
    }

    /// Leaves work that needs a thread to the next one that comes free.
    #[cold]
    fn await_thread(&'static self) {
        if self.crew.is_stopping() {
            // It was pushed while the pool stopped, and nobody looks here any more. On the timer's thread: watchers may follow,
            // and the caller may hold a lock.
            return timer::after(Duration::ZERO, Box::new(|| halt::clear(Some(self))));
        }
        // After the work is in sight: a thread that comes free now finds it there.
        self.short_of_threads.store(true, Ordering::SeqCst);
        if self.crew.has_thread() {
            // It came free before the mark was set.
            self.thread_came_free();
        }
    }

    /// A thread has parked, or another may be started: work that needs one may have it.
    pub(crate) fn thread_came_free(&'static self) {
        if self.short_of_threads.swap(false, Ordering::SeqCst) {
            self.start_beside();
            self.call_if_work();
        }
    }

    /// A thread waits no more in the middle of a task: a task beside the processors may have its place.
    fn end_wait(&'static self) {
        self.crew.end_wait();
        self.start_beside();
    }

    /// Takes back what a task held.
    pub(crate) fn end_assignment(&'static self, assignment: Assignment) {
        if assignment == Assignment::default() {
            return;
        }
        if assignment.beside {
            self.crew.end_beside();
        }
        let freed = self.board.with(|plan| plan.end(assignment));
        for processor in freed {
            self.crew.release(processor);
        }
        self.start_beside();
        self.call_if_work();
    }

    /// Finds a task for a worker: its newest first, then others' oldest. Now and then the other way round, so that tasks
    /// which spawn their successors do not keep older ones from running for ever.
    fn find(&'static self, context: &'static Context) -> Option<TaskRef> {
        if is_turn_of_others(context.turns()) {
            // So that the next look is an ordinary one, whatever this one finds.
            context.take_turn();
            let old = self.find_elsewhere(context).or_else(|| steal(&context.deque));
            if old.is_some() {
                return old;
            }
        }
        // SAFETY: the deque is this thread's.
        let own = unsafe { context.deque.pop() };
        own.or_else(|| self.find_elsewhere(context))
    }

    fn find_elsewhere(&'static self, context: &'static Context) -> Option<TaskRef> {
        let injected = self.pop_injected();
        if injected.is_some() {
            return injected;
        }
        let seats = self.seats.len();
        let first = context.random() as usize;
        (0..seats).find_map(|step| {
            let deque = self.seats.get((first + step) % seats)?;
            if std::ptr::eq(deque, &context.deque) { None } else { steal(deque) }
        })
    }
}

/// Whether a thread that has run so many tasks looks first at what has waited for long.
#[inline]
fn is_turn_of_others(turns: u32) -> bool {
    turns % 128 == 127
}

#[inline]
fn steal(deque: &Deque) -> Option<TaskRef> {
    loop {
        match deque.steal() {
            Stolen::Task(task) => return Some(task),
            Stolen::Empty => return None,
            Stolen::Retry => std::hint::spin_loop(),
        }
    }
}

/// The name of a processor of this process.
pub(crate) fn processor_id(index: u32) -> ProcessorId {
    ProcessorId { worker: me(), index }
}

fn start_thread(engine: &'static Engine, berth: Arc<Berth>) -> std::io::Result<()> {
    worker::start(engine, berth)
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the runtime runs already: start it before the first spawn, or stop the one that runs")
    }
}

impl std::error::Error for Runs {}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("crew", &self.crew).finish_non_exhaustive()
    }
}
