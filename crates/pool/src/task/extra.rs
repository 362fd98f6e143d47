//! What only some tasks have: a name, a place to run, another attempt, a time limit.

use super::arg::Wiring;
use super::handle::AnyHandle;
use super::lineage::Lineage;
use super::ticket::Ticket;
use super::{GATED, PLACED, TaskRef};
use crate::edge::Edge;
use crate::timer::Alarm;
use poniard_model::codec::Encoded;
use poniard_model::{ChunkId, CodecError, Retries, Scope, Storage, TaskId, TaskOptions};
use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What a task asks for beyond its function and its arguments.
#[derive(Default)]
pub struct Extra {
    /// The name that people see.
    pub name: Option<Arc<str>>,
    /// Where and with how much of the machine it runs.
    pub demand: Demand,
    /// Whether it has to run in this process.
    pub stays: bool,
    /// Where it runs, if that is in another process.
    pub elsewhere: Option<Scope>,
    /// Where its result may be used, if not everywhere; the pool only carries it.
    pub reach: Option<Scope>,
    /// Its number in the process that it came from, where its result goes as bytes; it is noted then when it begins.
    pub(crate) guest: Option<TaskId>,
    /// Whether it is run again when it fails.
    pub retries: Option<Retries>,
    /// How long one attempt may run.
    pub timeout: Option<Duration>,
    /// Whether the result is kept until it is released.
    pub is_persistent: bool,
    /// Where a large result may be.
    pub storage: Storage,
    /// Whether a large result is made again instead of being written to disk.
    pub is_cached: bool,
    /// What the tasks inherit that it spawns; the pool only carries it.
    pub inherited: Option<Arc<TaskOptions>>,
    /// What is known of the task above; the pool only carries it.
    pub note: Option<Arc<dyn Any + Send + Sync>>,
    /// What stands behind a task of another process.
    pub(crate) ticket: Option<Arc<dyn Ticket>>,
    /// Why the task cannot run at all; it fails with this when it is launched.
    pub impossible: Option<String>,
    /// The tasks that it waits for without using their results, until it runs or its arguments are dropped.
    order: Mutex<Vec<OrderEdge>>,
    /// The value that this task makes again.
    pub(crate) makes_again: Option<ChunkId>,
    /// What makes the result again.
    lineage: Mutex<Option<Lineage>>,
    /// The result as bytes, until it is sent to the process that the task came from.
    product: Mutex<Option<Product>>,
    pub(crate) attempt: AtomicU32,
    /// When it began, if that is noted.
    pub(crate) begun: OnceLock<Instant>,
    /// Whether it runs in another process, though it could run here.
    is_lent: AtomicBool,
    /// Whether it was sent to where its inputs are.
    follows: AtomicBool,
    resolved: AtomicBool,
    running: Mutex<Attempt>,
    abort: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

/// Where and with how much of the machine a task runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// Ready tasks with a higher priority start first.
    pub priority: i32,
    /// The share of a processor, in thousandths: 1000 is all of it.
    pub share: u32,
    /// How many processors; more than one only with a share of 1000.
    pub width: u32,
    /// The processors on which it may run, by their number; `None` is all.
    pub fits: Option<Arc<[u32]>>,
    /// Bytes that it will allocate.
    pub memory: u64,
    /// How long it is expected to run: of equal priority the longest starts first.
    pub time: Duration,
}

/// All of a processor.
pub const WHOLE: u32 = 1000;

impl Demand {
    /// Whether the task may run on this processor.
    pub(crate) fn fits(&self, processor: u32) -> bool {
        self.fits.as_ref().is_none_or(|fits| fits.contains(&processor))
    }
}

impl Default for Demand {
    fn default() -> Demand {
        Demand { priority: 0, share: WHOLE, width: 1, fits: None, memory: 0, time: Duration::ZERO }
    }
}

/// A result as bytes; or why it has none.
type Product = Result<Encoded, CodecError>;

/// The attempt that runs.
#[derive(Default)]
pub(crate) struct Attempt {
    /// Its number; 0 when none runs.
    pub(crate) number: u32,
    /// Lets go of what the attempt's thread holds.
    pub(crate) let_go: Option<Box<dyn FnOnce() + Send>>,
    pub(crate) timed_out: bool,
    /// Its time limit. The work has a reference to the task, which goes with the attempt.
    pub(crate) alarm: Option<Alarm>,
}

impl Extra {
    /// Waits for the tasks of `after` without using their results.
    pub fn after<'a>(&mut self, tasks: impl IntoIterator<Item = &'a AnyHandle>) {
        let order = self.order.get_mut().unwrap_or_else(PoisonError::into_inner);
        order.extend(tasks.into_iter().map(|task| OrderEdge::new(task.task().clone())));
    }

    /// What a task asks for that makes the result of this one again.
    pub(super) fn again(&self, chunk: ChunkId) -> Extra {
        Extra {
            name: self.name.clone(),
            demand: self.demand.clone(),
            elsewhere: self.elsewhere.clone(),
            reach: self.reach.clone(),
            retries: self.retries.clone(),
            timeout: self.timeout,
            inherited: self.inherited.clone(),
            note: self.note.clone(),
            makes_again: Some(chunk),
            ..Extra::default()
        }
    }

    /// What makes the result again.
    pub(super) fn lineage(&self) -> MutexGuard<'_, Option<Lineage>> {
        self.lineage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what makes the result again, if that was asked for. Another attempt makes it of the same.
    pub(super) fn keep_lineage(&self, make: impl FnOnce() -> Option<Lineage>) {
        if self.is_cached && self.storage == Storage::Any && self.lineage().is_none() {
            let lineage = make();
            *self.lineage() = lineage;
        }
    }

    pub(super) fn keep_product(&self, product: Product) {
        *self.product.lock().unwrap_or_else(PoisonError::into_inner) = Some(product);
    }

    /// The result as bytes; once.
    pub(crate) fn take_product(&self) -> Option<Product> {
        self.product.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The result will not be made again.
    pub(crate) fn forget_lineage(&self) {
        let lineage = self.lineage().take();
        crate::panics::contain(|| drop(lineage));
    }

    /// Whether the task cannot simply run on whichever processor is free.
    pub(crate) fn is_placed(&self) -> bool {
        self.elsewhere.is_some() || self.demand != Demand::default()
    }

    /// The flags of a task with this extra.
    pub(crate) fn flags(&self) -> u32 {
        let placed = if self.is_placed() { PLACED } else { 0 };
        // Declared memory is a part of the budget.
        let gated = if self.demand.memory > 0 { GATED } else { 0 };
        placed | gated
    }

    /// Hangs the task on those that it waits for without using their results.
    pub(crate) fn wire_order(&self, wiring: &mut Wiring) {
        for order in &*self.order() {
            let edge = NonNull::new(order.edge.get()).expect("a place in a vector");
            // SAFETY: the edge lies in the task's own extra, and stays there until all edges are back.
            unsafe { wiring.hang(&order.after, edge) };
        }
    }

    fn order(&self) -> MutexGuard<'_, Vec<OrderEdge>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Visits the tasks that it waits for without using their results.
    pub(crate) fn befores(&self, visit: impl FnMut(&OrderEdge)) {
        self.order().iter().for_each(visit);
    }

    /// Lets go of the tasks that it waited for, so that a long sequence does not stay in memory as a whole. Only once all
    /// edges are back.
    pub(crate) fn forget_befores(&self) {
        let order = std::mem::take(&mut *self.order());
        drop(order);
    }

    /// Whether the task runs in another process.
    pub(crate) fn is_away(&self) -> bool {
        self.elsewhere.is_some() || self.is_lent()
    }

    /// Whether it runs there, though it could run here.
    pub(crate) fn is_lent(&self) -> bool {
        // Relaxed, here and below: only who has claimed the task sets it, and whoever claims it next sees that.
        self.is_lent.load(Ordering::Relaxed)
    }

    /// Whether it was sent to where its inputs are.
    pub(crate) fn follows(&self) -> bool {
        self.follows.load(Ordering::Relaxed)
    }

    pub(crate) fn set_follows(&self) {
        self.follows.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_lent(&self, is_lent: bool) {
        self.is_lent.store(is_lent, Ordering::Relaxed);
    }

    /// Whether somebody has taken the right to end the task.
    pub(crate) fn is_resolved(&self) -> bool {
        self.resolved.load(Ordering::Acquire)
    }

    /// Takes the right to end the task; only the first caller gets it.
    pub(crate) fn resolve(&self) -> bool {
        // AcqRel: the winner's writes to the slot come after the losers' looks.
        !self.resolved.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn running(&self) -> MutexGuard<'_, Attempt> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the attempt that runs; tells the limit when it had run for too long.
    pub(crate) fn attempt_ended(&self) -> Option<Duration> {
        let limit = self.timeout?;
        let ended = std::mem::take(&mut *self.running());
        ended.timed_out.then_some(limit)
    }

    /// The detached body has left its thread, and the processor there is another task's; its time goes on.
    pub(crate) fn left_thread(&self) {
        if self.timeout.is_some() {
            self.running().let_go = None;
        }
    }

    /// Keeps what stops the detached body when the task is ended by somebody else.
    pub(crate) fn set_abort(&self, abort: Box<dyn FnOnce() + Send>) {
        *self.abort.lock().unwrap_or_else(PoisonError::into_inner) = Some(abort);
    }

    pub(crate) fn abort(&self) {
        if let Some(abort) = self.take_abort() {
            crate::panics::contain(abort);
        }
    }

    /// Drops what would stop work that has ended: it may refer to the task.
    pub(crate) fn forget_abort(&self) {
        let abort = self.take_abort();
        crate::panics::contain(|| drop(abort));
    }

    fn take_abort(&self) -> Option<Box<dyn FnOnce() + Send>> {
        self.abort.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// An edge for waiting without using the result.
#[derive(Debug)]
pub(crate) struct OrderEdge {
    pub(crate) after: TaskRef,
    pub(crate) edge: UnsafeCell<Edge>,
}

impl OrderEdge {
    pub(crate) fn new(after: TaskRef) -> OrderEdge {
        OrderEdge { after, edge: UnsafeCell::new(Edge::new()) }
    }
}

// SAFETY: the edge is touched only through the list that it hangs in, as `Dependents` says.
unsafe impl Send for OrderEdge {}
// SAFETY: as above.
unsafe impl Sync for OrderEdge {}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extra")
            .field("name", &self.name)
            .field("demand", &self.demand)
            .field("retries", &self.retries)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
