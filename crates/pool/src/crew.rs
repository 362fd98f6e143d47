//! Processors, and the threads that hold them.
//!
//! A pool has `n` processors. A thread runs tasks only while it holds one, so at most `n` tasks run at a time, except for
//! tasks that went on after a wait. A processor is
//!
//! * `TAKEN`: its thread runs tasks;
//! * `SEARCHING`: its thread looks for work, and others may take the processor from under it;
//! * `FREE`: nobody holds it.
//!
//! Threads that hold nothing are parked in the yard, until they are summoned with orders. See `README.md` for the
//! argument why no wake-up is lost.

use crate::bell::Bell;
use crate::board::Assignment;
use crate::fences;
use crate::sync::{AtomicU32, Padded};
use crate::task::TaskRef;
use std::sync::atomic::Ordering::AcqRel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Threads of one pool, parked ones included. A thread waits in the middle of each task that waits for another, so
/// this bounds how deep tasks that are not run in place wait for each other.
pub(crate) const THREADS_MAX: usize = 512;

/// The processors and the yard.
#[derive(Debug)]
pub(crate) struct Crew {
    bell: Bell,
    /// How many threads wait in the middle of a task.
    waiting: Padded<AtomicU32>,
    yard: Mutex<Yard>,
    gone: Condvar,
}

#[derive(Debug, Default)]
struct Yard {
    parked: Vec<Arc<Berth>>,
    threads: usize,
    stopping: bool,
}

/// Where a thread parks.
#[derive(Debug)]
pub(crate) struct Berth {
    orders: Mutex<Option<Orders>>,
    given: Condvar,
}

/// What a parked thread is to do.
#[derive(Debug)]
pub(crate) enum Orders {
    /// Look for work with this processor, which is `SEARCHING` and counted.
    Search(u32),
    /// Run this task, with what it was assigned; no processor comes with it.
    Run(TaskRef, Assignment),
    /// End.
    Stop,
}

/// Starts a thread that begins with the orders in this berth.
pub(crate) type Start<'a> = &'a dyn Fn(Arc<Berth>) -> std::io::Result<()>;

impl Crew {
    pub(crate) fn new(processors: usize) -> Crew {
        Crew {
            bell: Bell::new(processors),
            waiting: Padded(AtomicU32::new(0)),
            yard: Mutex::default(),
            gone: Condvar::new(),
        }
    }

    /// How many processors there are.
    pub(crate) fn len(&self) -> u32 {
        self.bell.len()
    }

    fn yard(&self) -> MutexGuard<'_, Yard> {
        self.yard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Bell::needs_call`].
    #[inline]
    pub(crate) fn needs_call(&self) -> bool {
        self.bell.needs_call()
    }

    /// Takes any processor, `preferred` if it can be had.
    pub(crate) fn take_any(&self, preferred: Option<u32>) -> Option<u32> {
        let all = 0..self.len();
        // The thread may have held its last one in an earlier, larger pool.
        preferred
            .filter(|processor| all.contains(processor))
            .into_iter()
            .chain(all.clone())
            .find(|processor| self.bell.take(*processor))
    }

    /// As [`Bell::release`].
    pub(crate) fn release(&self, processor: u32) {
        self.bell.release(processor);
    }

    /// As [`Bell::search`].
    pub(crate) fn search(&self, processor: u32) {
        self.bell.search(processor);
    }

    /// As [`Bell::found`].
    pub(crate) fn found(&self, processor: u32) -> bool {
        self.bell.found(processor)
    }

    /// Ends the search without work and goes into the yard. The caller looks once more, calls somebody if there is work
    /// now, and then waits for orders.
    pub(crate) fn give_up(&self, processor: u32, berth: &Arc<Berth>) {
        let mut yard = self.yard();
        // Under the lock: who calls for the processor now finds this thread in the yard.
        self.bell.give_up(processor);
        Crew::park(&mut yard, berth);
        drop(yard);
        // Orders what is above before the caller's last look; pairs with the light fence of those who push.
        fences::heavy();
    }

    /// Goes into the yard, holding nothing.
    pub(crate) fn retire(&self, berth: &Arc<Berth>) {
        Crew::park(&mut self.yard(), berth);
    }

    fn park(yard: &mut Yard, berth: &Arc<Berth>) {
        if yard.stopping {
            berth.give(Orders::Stop);
        } else {
            yard.parked.push(berth.clone());
        }
    }

    /// Sends a parked thread, or a new one, to search with a free processor that is `wanted`.
    #[cold]
    #[inline(never)]
    pub(crate) fn summon(&self, wanted: impl Fn(u32) -> bool, start: Start<'_>) {
        if let Some(processor) = self.bell.call(wanted)
            && self.deploy(Orders::Search(processor), start).is_err()
        {
            self.bell.call_off(processor);
        }
    }

    /// Gives orders to a parked thread, or to a new one; gives them back when there can be no more threads.
    pub(crate) fn deploy(&self, orders: Orders, start: Start<'_>) -> Result<(), Orders> {
        let mut yard = self.yard();
        if let Some(berth) = yard.parked.pop() {
            drop(yard);
            berth.give(orders);
            return Ok(());
        }
        if yard.stopping || yard.threads >= THREADS_MAX {
            return Err(orders);
        }
        yard.threads += 1;
        drop(yard);
        let berth = Berth::new();
        berth.give(orders);
        start(berth.clone()).map_err(|error| {
            let mut yard = self.yard();
            yard.threads -= 1;
            assert!(yard.threads > 0, "cannot start a thread for tasks: {error}");
            berth.await_orders()
        })
    }

    /// Whether a thread may go to wait in the middle of a task: others must be left to run what it waits for.
    pub(crate) fn begin_wait(&self) -> bool {
        if self.waiting.fetch_add(1, AcqRel) as usize + 1 < THREADS_MAX {
            return true;
        }
        self.waiting.fetch_sub(1, AcqRel);
        false
    }

    pub(crate) fn end_wait(&self) {
        self.waiting.fetch_sub(1, AcqRel);
    }

    /// Whether a processor is taken, as `status` sees it.
    pub(crate) fn is_taken(&self, processor: u32) -> bool {
        self.bell.is_taken(processor)
    }

    /// Whether a thread is in the yard.
    pub(crate) fn has_parked(&self) -> bool {
        !self.yard().parked.is_empty()
    }

    /// How many threads there are.
    pub(crate) fn threads(&self) -> usize {
        self.yard().threads
    }

    /// A thread has ended.
    pub(crate) fn left(&self) {
        self.yard().threads -= 1;
        self.gone.notify_all();
    }

    /// Ends all threads once they park, and waits until they have, `patience` at most.
    pub(crate) fn stop(&self, patience: std::time::Duration) {
        let mut yard = self.yard();
        yard.stopping = true;
        for berth in std::mem::take(&mut yard.parked) {
            berth.give(Orders::Stop);
        }
        let waited = self.gone.wait_timeout_while(yard, patience, |yard| yard.threads > 0);
        drop(waited);
    }
}

impl Berth {
    pub(crate) fn new() -> Arc<Berth> {
        Arc::new(Berth { orders: Mutex::new(None), given: Condvar::new() })
    }

    fn give(&self, orders: Orders) {
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = Some(orders);
        self.given.notify_one();
    }

    /// Parks until there are orders.
    pub(crate) fn await_orders(&self) -> Orders {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match orders.take() {
                Some(given) => return given,
                None => orders = self.given.wait(orders).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}
