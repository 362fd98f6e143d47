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
//!
//! A task that waits in the middle keeps a thread, and so does one that runs beside the processors, because it holds no
//! processor or shares one. Both are counted, each kind up to a number of its own, so that a thread is always left for everything else.

use crate::bell::Bell;
use crate::board::Assignment;
use crate::fences;
use crate::sync::{AtomicU32, Padded};
use crate::task::TaskRef;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Threads of one pool, without those that run tasks beside the processors and those whose body ignores its time limit. A
/// thread waits in the middle of each task that waits for another, so this bounds how deep tasks that are not run in place
/// wait for each other.
pub(crate) const THREADS_MAX: usize = 512;
/// Threads that run tasks beside the processors. They are more than the others, and apart from them: however many such tasks
/// block, each processor finds a thread.
pub(crate) const BESIDE_MAX: usize = 4096;
/// Parked threads that are kept for what comes, if there are not more processors.
const PARKED_MAX: usize = 64;

/// The processors and the yard.
#[derive(Debug)]
pub(crate) struct Crew {
    bell: Bell,
    /// How many threads wait in the middle of a task, in units of `WAITS`, and how many run one beside the processors, in
    /// units of `BESIDE`. One word, so that each sees the other.
    aside: Padded<AtomicU32>,
    yard: Mutex<Yard>,
    gone: Condvar,
}

#[derive(Debug, Default)]
struct Yard {
    parked: Vec<Arc<Berth>>,
    /// How many threads there are, without those that were let go.
    threads: usize,
    /// How many threads run a body past its time limit: nobody counts on them.
    let_go: usize,
    /// The system has refused to start the last thread.
    refused: bool,
    stopping: bool,
}

const WAITS: u32 = 1;
const BESIDE: u32 = 1 << 16;

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
            aside: Padded(AtomicU32::new(0)),
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

    /// As [`Bell::want`].
    pub(crate) fn want(&self, wanted: bool) {
        self.bell.want(wanted);
    }

    /// As [`Bell::was_wanted`].
    pub(crate) fn was_wanted(&self) -> bool {
        self.bell.was_wanted()
    }

    /// As [`Bell::free`].
    pub(crate) fn free(&self) -> u32 {
        self.bell.free()
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
        Crew::park(&mut yard, self.parked_max(), berth);
        drop(yard);
        // Orders what is above before the caller's last look; pairs with the light fence of those who push.
        fences::heavy();
    }

    /// Goes into the yard, holding nothing.
    pub(crate) fn retire(&self, berth: &Arc<Berth>) {
        Crew::park(&mut self.yard(), self.parked_max(), berth);
    }

    fn park(yard: &mut Yard, parked_max: usize, berth: &Arc<Berth>) {
        if yard.stopping || yard.parked.len() >= parked_max {
            berth.give(Orders::Stop);
        } else {
            yard.parked.push(berth.clone());
        }
    }

    fn parked_max(&self) -> usize {
        PARKED_MAX.max(self.len() as usize)
    }

    /// Sends a parked thread, or a new one, to search with a free processor that is `wanted`; false when there can be no
    /// more threads.
    #[cold]
    #[inline(never)]
    pub(crate) fn summon(&self, wanted: impl Fn(u32) -> bool, start: Start<'_>) -> bool {
        let Some(processor) = self.bell.call(wanted) else { return true };
        let sent = self.deploy(Orders::Search(processor), start).is_ok();
        if !sent {
            self.bell.call_off(processor);
        }
        sent
    }

    /// Gives orders to a parked thread, or to a new one; gives them back when there can be no more threads.
    pub(crate) fn deploy(&self, orders: Orders, start: Start<'_>) -> Result<(), Orders> {
        let mut yard = self.yard();
        if let Some(berth) = yard.parked.pop() {
            drop(yard);
            berth.give(orders);
            return Ok(());
        }
        if yard.stopping || yard.threads >= THREADS_MAX + BESIDE_MAX {
            return Err(orders);
        }
        yard.threads += 1;
        yard.refused = false;
        drop(yard);
        let berth = Berth::new();
        berth.give(orders);
        start(berth.clone()).map_err(|error| {
            let mut yard = self.yard();
            yard.threads -= 1;
            yard.refused = true;
            assert!(yard.threads + yard.let_go > 0, "cannot start a thread for tasks: {error}");
            berth.await_orders()
        })
    }

    /// Whether a thread may go to wait in the middle of a task: one must be left to run what it waits for.
    pub(crate) fn begin_wait(&self) -> bool {
        self.step_aside(WAITS, |waits, _| waits < THREADS_MAX)
    }

    pub(crate) fn end_wait(&self) {
        self.aside.fetch_sub(WAITS, SeqCst);
    }

    /// Whether a task may be run beside the processors: threads must be left for those that need one.
    pub(crate) fn begin_beside(&self) -> bool {
        self.step_aside(BESIDE, |_, beside| beside <= BESIDE_MAX)
    }

    pub(crate) fn end_beside(&self) {
        self.aside.fetch_sub(BESIDE, SeqCst);
    }

    /// Counts one thread more, unless then there would be too many.
    fn step_aside(&self, one: u32, fits: impl Fn(usize, usize) -> bool) -> bool {
        let step = |aside: u32| {
            let aside = aside + one;
            fits((aside % BESIDE) as usize, (aside / BESIDE) as usize).then_some(aside)
        };
        // SeqCst, as the ends: who finds no room has shown the board's task before, and who makes room looks at the
        // board afterwards. One of them sees the other.
        self.aside.fetch_update(SeqCst, SeqCst, step).is_ok()
    }

    /// Whether a processor is taken, as `status` sees it.
    pub(crate) fn is_taken(&self, processor: u32) -> bool {
        self.bell.is_taken(processor)
    }

    /// Whether a thread is in the yard, or can be started.
    pub(crate) fn has_thread(&self) -> bool {
        let yard = self.yard();
        !yard.parked.is_empty()
            || (yard.threads < THREADS_MAX + BESIDE_MAX && !yard.refused && !yard.stopping)
    }

    /// Whether the pool ends.
    pub(crate) fn is_stopping(&self) -> bool {
        self.yard().stopping
    }

    /// How many threads there are.
    pub(crate) fn threads(&self) -> usize {
        let yard = self.yard();
        yard.threads + yard.let_go
    }

    /// The body that a thread runs is past its time limit: another thread may be started in its place.
    pub(crate) fn let_go(&self) {
        let mut yard = self.yard();
        yard.threads -= 1;
        yard.let_go += 1;
        self.gone.notify_all();
    }

    /// The body of a thread that was let go has returned.
    pub(crate) fn come_back(&self) {
        let mut yard = self.yard();
        yard.let_go -= 1;
        yard.threads += 1;
    }

    /// A thread has ended.
    pub(crate) fn left(&self) {
        self.yard().threads -= 1;
        self.gone.notify_all();
    }

    /// Ends all threads once they park, and waits until they have, `patience` at most. Those that were let go may never
    /// park, and are not waited for.
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
