//! What the pool knows of a thread: its deque, its memory, the task that it runs.
//!
//! Contexts are never freed: a thread that ends gives its context back for the next one, so that thieves and
//! `status` may look at them at any time.

use super::lease::Lease;
use super::{Engine, inject, queue};
use crate::deque::{Deque, Stolen};
use crate::epoch::{self, Epoch};
use crate::task::{Header, Identity, PLACED, TaskRef};
use poniard_model::{Site, TaskId};
use std::cell::Cell;
use std::fmt;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// No processor.
pub(crate) const NONE: u32 = u32::MAX;
/// Stack that a task run inside another's wait must find, in bytes; with less it runs on another thread.
const STACK_LEFT: usize = 256 << 10;

/// Task numbers that a thread takes at a time.
const IDS: u64 = 1 << 12;
static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static ALL: Mutex<Vec<&'static Context>> = Mutex::new(Vec::new());
static UNUSED: Mutex<Vec<&'static Context>> = Mutex::new(Vec::new());

/// What the pool knows of one thread. Cells are touched by that thread alone; atomics by everybody.
pub(crate) struct Context {
    pub(crate) deque: Deque,
    /// The processor that the thread holds, or `NONE`. The timer may take it away.
    processor: AtomicU32,
    /// The processor that it held last, for those who ask where they are.
    home: AtomicU32,
    /// The engine in whose row the thread sits.
    pub(crate) engine: Cell<Option<&'static Engine>>,
    seat: Cell<usize>,
    /// The engine whose processors the thread holds: its own for a pool's thread, for as long as it lives.
    employer: Cell<Option<&'static Engine>>,
    /// The tasks that the thread is in the middle of, the innermost one first.
    frames: Cell<*const Frame>,
    /// What it has beside its processor, for the task that it runs. The timer may take it away.
    pub(super) lease: Mutex<Lease>,
    /// The next number for a task, and the end of those that the thread has.
    ids: Cell<(u64, u64)>,
    random: Cell<u32>,
    /// Tasks that the thread has run.
    turns: Cell<u32>,
    /// A task whose turn at a datum has come by the end of the one that the thread runs.
    handed_on: Cell<Option<TaskRef>>,
    stack_limit: Cell<usize>,
    pub(crate) counts: Counts,
    shown: Shown,
}

/// A task in whose middle a thread is. It lies on the thread's stack.
#[derive(Debug)]
pub(crate) struct Frame {
    task: *const Header,
    outer: *const Frame,
}

/// Tasks counted by this thread; written by it alone, so that no read-modify-write is needed.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) launched: AtomicU64,
    pub(crate) done: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// What the thread runs, for `status`.
#[derive(Debug)]
struct Shown {
    task: AtomicU64,
    site: AtomicPtr<Site>,
    /// The name, where the task has one of its own.
    name: Mutex<Option<Arc<str>>>,
}

/// What a thread runs, as `status` sees it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) task: TaskId,
    pub(crate) name: Arc<str>,
    pub(crate) site: &'static Site,
}

// SAFETY: each thread touches the cells of its own context only: `with` gives it no other; what others read is atomic.
unsafe impl Sync for Context {}

thread_local! {
    static CURRENT: Cell<Option<&'static Context>> = const { Cell::new(None) };
    /// Gives the context back when the thread ends.
    static RETURN: Return = const { Return };
}

struct Return;

impl Drop for Return {
    fn drop(&mut self) {
        if let Some(context) = CURRENT.take() {
            context.retire();
        }
    }
}

impl Counts {
    #[inline]
    pub(crate) fn add_one(count: &AtomicU64) {
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// This thread's context, made if there is none.
#[inline]
pub(crate) fn get() -> &'static Context {
    CURRENT.get().unwrap_or_else(enter)
}

/// This thread's context, if it has one.
#[inline]
pub(crate) fn current() -> Option<&'static Context> {
    CURRENT.get()
}

/// Whether a task of this number may have been made.
pub(crate) fn may_exist(task: TaskId) -> bool {
    task.0 > 0 && task.0 < NEXT_ID.load(Ordering::Relaxed)
}

/// Contexts of all threads, those of ended ones included.
pub(crate) fn all() -> Vec<&'static Context> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cold]
fn enter() -> &'static Context {
    let unused = UNUSED.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let context = unused.unwrap_or_else(|| {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let context: &'static Context = Box::leak(Box::new(Context::new(all.len())));
        all.push(context);
        context
    });
    context.stack_limit.set(stack_limit());
    CURRENT.set(Some(context));
    // A thread that is ending runs no more destructors: its context stays as it is.
    let _ = RETURN.try_with(|_| ());
    context
}

impl Context {
    fn new(number: usize) -> Context {
        Context {
            deque: Deque::new(),
            processor: AtomicU32::new(NONE),
            home: AtomicU32::new(NONE),
            engine: Cell::new(None),
            seat: Cell::new(0),
            employer: Cell::new(None),
            frames: Cell::new(null()),
            lease: Mutex::default(),
            ids: Cell::new((0, 0)),
            random: Cell::new(0x9E37_79B9 ^ (number as u32 + 1).wrapping_mul(7919)),
            turns: Cell::new(0),
            handed_on: Cell::new(None),
            stack_limit: Cell::new(0),
            counts: Counts::default(),
            shown: Shown {
                task: AtomicU64::new(0),
                site: AtomicPtr::new(null_mut()),
                name: Mutex::new(None),
            },
        }
    }

    fn retire(&'static self) {
        self.stand_up();
        self.employer.set(None);
        UNUSED.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }

    /// Takes a seat in `engine`'s row, so that others find the tasks of this thread; false when none is left.
    pub(crate) fn sit_down(&'static self, engine: &'static Engine) -> bool {
        self.stand_up();
        let seat = engine.seats.take(&self.deque);
        self.engine.set(seat.map(|_| engine));
        self.seat.set(seat.unwrap_or(0));
        seat.is_some()
    }

    /// Leaves the seat, and its tasks to everybody.
    pub(crate) fn stand_up(&'static self) {
        self.drain();
        if let Some(engine) = self.engine.take() {
            engine.seats.vacate(self.seat.get());
        }
    }

    /// The engine whose processors the thread holds, if it works for one.
    #[inline]
    pub(crate) fn employer(&self) -> Option<&'static Engine> {
        self.employer.get()
    }

    /// Works for `engine` from now on, or for nobody.
    pub(crate) fn set_employer(&self, engine: Option<&'static Engine>) {
        self.employer.set(engine);
    }

    /// Whether the thread sits in `engine`'s row.
    #[inline]
    pub(crate) fn sits(&self, engine: &Engine) -> bool {
        self.engine.get().is_some_and(|of| std::ptr::eq(of, engine))
    }

    /// Hands the tasks of the deque to everybody.
    pub(crate) fn drain(&self) {
        loop {
            match self.deque.steal() {
                Stolen::Task(task) => inject(task),
                Stolen::Retry => {}
                Stolen::Empty => return,
            }
        }
    }

    /// The identity of a task that this thread makes now.
    #[inline]
    pub(crate) fn new_identity(&self) -> Identity {
        Identity { id: self.next_task_id(), epoch: self.epoch() }
    }

    /// The epoch of what this thread spawns now. What a halted task spawns belongs to the past as well.
    #[inline]
    pub(crate) fn epoch(&self) -> Epoch {
        self.running().map_or_else(epoch::now, Header::epoch)
    }

    #[inline]
    fn next_task_id(&self) -> TaskId {
        let (next, end) = self.ids.get();
        if next == end {
            return self.more_ids();
        }
        self.ids.set((next + 1, end));
        // As many tasks were launched as numbers were given out, but for those that are held.
        Counts::add_one(&self.counts.launched);
        TaskId(next)
    }

    /// A number of this process that no task has that counts as launched.
    pub(crate) fn number(&self) -> TaskId {
        // Not one of this thread's own: those count as tasks that were launched.
        TaskId(NEXT_ID.fetch_add(1, Ordering::Relaxed))
    }

    #[cold]
    fn more_ids(&self) -> TaskId {
        let first = NEXT_ID.fetch_add(IDS, Ordering::Relaxed);
        self.ids.set((first, first + IDS));
        self.next_task_id()
    }

    /// A number that spreads thieves (xorshift; Marsaglia, "Xorshift RNGs", 2003).
    pub(crate) fn random(&self) -> u32 {
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        self.random.set(random);
        random
    }

    /// Counts a task that the thread runs now.
    #[inline]
    pub(crate) fn take_turn(&self) {
        self.turns.set(self.turns.get().wrapping_add(1));
    }

    /// How many tasks the thread has run.
    #[inline]
    pub(crate) fn turns(&self) -> u32 {
        self.turns.get()
    }

    /// The processor that the thread holds.
    #[inline]
    pub(crate) fn processor(&self) -> Option<u32> {
        Some(self.processor.load(Ordering::Relaxed)).filter(|held| *held != NONE)
    }

    /// The processor that the thread holds, or held last.
    pub(crate) fn home(&self) -> Option<u32> {
        Some(self.home.load(Ordering::Relaxed)).filter(|held| *held != NONE)
    }

    /// Leaves a ready task to the end of the one that the thread runs; queues it when there is one already.
    pub(super) fn hand_on(&self, task: TaskRef) {
        if task.flags() & PLACED != 0 {
            return queue(task);
        }
        if let Some(other) = self.handed_on.replace(Some(task)) {
            queue(other);
        }
    }

    /// What runs next on this thread: `next`, or else the task that was handed on.
    #[inline]
    pub(super) fn next_or_handed_on(&self, next: Option<TaskRef>) -> Option<TaskRef> {
        match self.handed_on.take() {
            None => next,
            Some(handed_on) if next.is_none() => Some(handed_on),
            Some(handed_on) => {
                queue(handed_on);
                next
            }
        }
    }

    pub(crate) fn set_processor(&self, processor: u32) {
        self.processor.store(processor, Ordering::Relaxed);
        self.home.store(processor, Ordering::Relaxed);
    }

    /// Shows where a task runs that holds no processor of its own, or only a share.
    pub(crate) fn set_home(&self, processor: u32) {
        self.home.store(processor, Ordering::Relaxed);
    }

    /// Takes the processor from the thread; only one caller gets it.
    pub(crate) fn take_processor(&self) -> Option<u32> {
        Some(self.processor.swap(NONE, Ordering::AcqRel)).filter(|held| *held != NONE)
    }

    /// Takes the processor from the thread, which calls this itself and has run nothing with a time limit: so the timer has
    /// no hand in it.
    #[inline]
    pub(crate) fn give_processor(&self) -> Option<u32> {
        let held = self.processor.load(Ordering::Relaxed);
        self.processor.store(NONE, Ordering::Relaxed);
        Some(held).filter(|held| *held != NONE)
    }

    /// The task that the thread runs.
    #[inline]
    pub(crate) fn running(&self) -> Option<&Header> {
        self.frames().next()
    }

    /// The tasks that the thread is in the middle of, the innermost one first.
    #[inline]
    pub(crate) fn frames(&self) -> impl Iterator<Item = &Header> {
        // SAFETY: a frame lies on this thread's stack until `leave`.
        let mut next = unsafe { self.frames.get().as_ref() };
        std::iter::from_fn(move || {
            let frame = next?;
            // SAFETY: as above.
            next = unsafe { frame.outer.as_ref() };
            // SAFETY: whoever entered the frame holds a reference to the task.
            unsafe { frame.task.as_ref() }
        })
    }

    /// Begins a task on this thread.
    ///
    /// # Safety
    /// The frame stays in place, and its task alive, until `leave`, which comes before anything else leaves.
    #[inline]
    pub(crate) unsafe fn enter(&self, frame: &Frame) {
        self.frames.set(frame);
    }

    /// Ends the innermost task on this thread.
    #[inline]
    pub(crate) fn leave(&self, frame: &Frame) {
        self.frames.set(frame.outer);
    }

    /// The frame of a task that begins now.
    #[inline]
    pub(crate) fn frame(&self, task: &TaskRef) -> Frame {
        Frame { task: task.as_raw(), outer: self.frames.get() }
    }

    /// Shows `status` what the thread runs now.
    #[inline]
    pub(crate) fn show(&self, task: Option<&Header>) {
        let (id, site) = match task {
            Some(task) => (task.id().0, std::ptr::from_ref(task.site).cast_mut()),
            None => (0, null_mut()),
        };
        self.shown.site.store(site, Ordering::Relaxed);
        self.shown.task.store(id, Ordering::Relaxed);
    }

    /// Shows the name of a task that has one of its own.
    pub(crate) fn show_name(&self, name: Option<Arc<str>>) {
        *self.shown.name.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }

    /// What the thread runs now.
    pub(crate) fn seen(&self) -> Option<Seen> {
        let site = self.shown.site.load(Ordering::Relaxed);
        let task = self.shown.task.load(Ordering::Relaxed);
        // SAFETY: only addresses of statics are stored there.
        let site = unsafe { site.as_ref() }?;
        let name = self.shown.name.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let name = name.unwrap_or_else(|| site.name.into());
        (task != 0).then_some(Seen { task: TaskId(task), name, site })
    }

    /// Whether there is stack for another task on top of the running one.
    #[inline]
    pub(crate) fn has_stack(&self) -> bool {
        let here = 0u8;
        std::ptr::from_ref(&here).addr() > self.stack_limit.get()
    }
}

/// The address below which this thread runs no task on top of another.
fn stack_limit() -> usize {
    stack_bottom().map_or_else(
        || {
            let here = 0u8;
            // Unknown: assume that half a megabyte is left, which every thread of Rust's has.
            std::ptr::from_ref(&here).addr().saturating_sub(512 << 10)
        },
        |bottom| {
            poniard_model::stack_ends_at(bottom);
            bottom + STACK_LEFT
        },
    )
}

#[cfg(target_os = "linux")]
fn stack_bottom() -> Option<usize> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: names the calling thread.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: it fills the attributes when it returns 0.
    if unsafe { libc::pthread_getattr_np(this, attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut bottom, mut size) = (null_mut(), 0);
    // SAFETY: the attributes were filled above.
    let known = unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &mut bottom, &mut size) };
    // SAFETY: the attributes were filled above, and are not used again.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    (known == 0).then(|| bottom.addr())
}

#[cfg(not(target_os = "linux"))]
fn stack_bottom() -> Option<usize> {
    None
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("processor", &self.processor).finish_non_exhaustive()
    }
}

/// What a running task can ask about itself.
pub mod current_task {
    use super::{Context, current};
    use crate::engine::processor_id;
    use crate::task::handle::AnyHandle;
    use crate::task::{CANCELLED, Header, TIMED_OUT};
    use poniard_model::{ProcessorId, Site, TaskId, TaskOptions};
    use std::sync::Arc;

    /// The id, as its handle tells it, the name and the site of the task that this thread runs.
    pub fn task() -> Option<(TaskId, Arc<str>, &'static Site)> {
        let task = current()?.running()?;
        let id = task.extra().and_then(|extra| extra.guest).unwrap_or_else(|| task.id());
        Some((id, task.name(), task.site))
    }

    /// A word that differs between the tasks that this thread is in the middle of, and is 0 outside tasks.
    #[inline]
    pub fn frame() -> usize {
        current().and_then(|context| context.running()).map_or(0, |task| std::ptr::from_ref(task).addr())
    }

    /// The processor on which this thread runs tasks, or ran its last one.
    pub fn processor() -> Option<ProcessorId> {
        current()?.home().map(processor_id)
    }

    /// Whether the task that this thread runs should stop: it was cancelled, its time is over, or the runtime was halted.
    pub fn is_cancelled() -> bool {
        let Some(context) = current() else { return false };
        let flagged = |flags: u32| flags & (CANCELLED | TIMED_OUT) != 0;
        context.running().is_some_and(|task| flagged(task.flags()) || task.is_halted())
    }

    /// Whether the task that this thread runs hands options to the tasks that it spawns.
    #[inline]
    pub fn hands_down() -> bool {
        let hands_down = |task: &Header| task.extra().is_some_and(|extra| extra.inherited.is_some());
        current().and_then(Context::running).is_some_and(hands_down)
    }

    /// Calls `work` as a part of `task`, which is detached and runs on this thread for a moment.
    pub fn on_behalf<R>(task: &AnyHandle, work: impl FnOnce() -> R) -> R {
        struct Leave<'a>(&'static Context, &'a super::Frame);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.leave(self.1);
            }
        }
        let context = super::get();
        let frame = context.frame(task.task());
        // SAFETY: the frame goes after `Leave` has left, and the caller holds the task.
        unsafe { context.enter(&frame) };
        let _leave = Leave(context, &frame);
        work()
    }

    /// What the task that this thread runs inherited, and hands to the tasks that it spawns.
    #[inline]
    pub fn inherited() -> Option<Arc<TaskOptions>> {
        current()?.running()?.extra()?.inherited.clone()
    }
}
