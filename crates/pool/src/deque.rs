//! A work-stealing deque of tasks: its owner pushes and pops at the bottom, everybody steals at the top.
//!
//! Chase and Lev, "Dynamic Circular Work-Stealing Deque" (SPAA 2005), with the orderings of Lê, Pop, Cohen and
//! Zappa Nardelli, "Correct and Efficient Work-Stealing for Weak Memory Models" (PPoPP 2013). Buffers grow and
//! old ones are kept until the deque ends, so a thief with an old buffer reads stale but valid slots, and its
//! compare-and-swap fails. Together they are no larger than the newest one.

use crate::sync::{AtomicIsize, AtomicPtr, Padded, fence};
use crate::task::{Header, TaskRef};
use std::cell::{Cell, UnsafeCell};
use std::ptr::null_mut;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// Slots of a new deque. Small under loom, so that growing is met.
const SLOTS: usize = if cfg!(loom) { 2 } else { 1024 };

/// The deque. Entries own one reference of their task.
#[derive(Debug)]
pub(crate) struct Deque {
    top: Padded<AtomicIsize>,
    bottom: Padded<AtomicIsize>,
    buffer: AtomicPtr<Buffer>,
    /// A lower bound of `top`, for the owner: saves reading the thieves' cache line at each push.
    top_seen: Cell<isize>,
    #[expect(clippy::vec_box, reason = "thieves may still read an outgrown buffer, so it stays where it is")]
    outgrown: UnsafeCell<Vec<Box<Buffer>>>,
}

// SAFETY: what is not atomic is touched by the owner alone, which is what `unsafe` on its methods says.
unsafe impl Sync for Deque {}
// SAFETY: entries are tasks, which may end on any thread.
unsafe impl Send for Deque {}

#[derive(Debug)]
struct Buffer {
    mask: usize,
    slots: Box<[AtomicPtr<Header>]>,
}

/// What a thief found.
#[derive(Debug)]
pub(crate) enum Stolen {
    Task(TaskRef),
    Empty,
    /// Another thief, or the owner, was faster.
    Retry,
}

impl Buffer {
    fn new(slots: usize) -> Box<Buffer> {
        let slots: Box<[AtomicPtr<Header>]> = (0..slots).map(|_| AtomicPtr::new(null_mut())).collect();
        Box::new(Buffer { mask: slots.len() - 1, slots })
    }

    #[inline]
    fn at(&self, index: isize) -> &AtomicPtr<Header> {
        let index = index as usize & self.mask;
        debug_assert!(index < self.slots.len());
        // SAFETY: the mask is one less than the number of slots.
        unsafe { self.slots.get_unchecked(index) }
    }
}

impl Deque {
    pub(crate) fn new() -> Deque {
        Deque {
            top: Padded(AtomicIsize::new(0)),
            bottom: Padded(AtomicIsize::new(0)),
            buffer: AtomicPtr::new(Box::into_raw(Buffer::new(SLOTS))),
            top_seen: Cell::new(0),
            outgrown: UnsafeCell::new(Vec::new()),
        }
    }

    #[inline]
    fn buffer(&self) -> &Buffer {
        let buffer = self.buffer.load(Acquire);
        // SAFETY: buffers live as long as the deque, outgrown ones too.
        unsafe { &*buffer }
    }

    /// Whether it looked empty just now.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bottom.load(Relaxed) <= self.top.load(Relaxed)
    }

    /// The place of the oldest task, if it looked to hold one just now.
    #[inline]
    pub(crate) fn oldest(&self) -> Option<isize> {
        let top = self.top.load(Relaxed);
        (self.bottom.load(Relaxed) > top).then_some(top)
    }

    /// How many tasks were taken off its cold end so far.
    pub(crate) fn taken(&self) -> isize {
        self.top.load(Relaxed)
    }

    /// How many tasks it looked to hold just now.
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.bottom.load(Relaxed) - self.top.load(Relaxed)).unwrap_or(0)
    }

    /// Adds a task at the bottom.
    ///
    /// # Safety
    /// Only the owning thread.
    #[inline]
    pub(crate) unsafe fn push(&self, task: TaskRef) {
        let bottom = self.bottom.load(Relaxed);
        let mut buffer = self.buffer();
        if bottom - self.top_seen.get() > buffer.mask as isize {
            self.top_seen.set(self.top.load(Acquire));
            if bottom - self.top_seen.get() > buffer.mask as isize {
                // SAFETY: the caller owns the deque.
                buffer = unsafe { self.grow(bottom, self.top_seen.get()) };
            }
        }
        buffer.at(bottom).store(task.into_raw(), Relaxed);
        // Release: pairs with the Acquire of `bottom` in `steal`; the slot and the task are written.
        self.bottom.store(bottom + 1, Release);
    }

    /// # Safety
    /// Only the owning thread.
    #[cold]
    #[inline(never)]
    unsafe fn grow(&self, bottom: isize, top: isize) -> &Buffer {
        let old = self.buffer();
        let new = Buffer::new((old.mask + 1) * 2);
        for index in top..bottom {
            new.at(index).store(old.at(index).load(Relaxed), Relaxed);
        }
        // Release: pairs with the Acquire in `buffer`; the slots are copied.
        let old = self.buffer.swap(Box::into_raw(new), Release);
        // SAFETY: it came from `Box::into_raw`, and is freed by nobody else.
        let old = unsafe { Box::from_raw(old) };
        // SAFETY: only the owner touches it, which is the caller.
        let outgrown = unsafe { &mut *self.outgrown.get() };
        outgrown.push(old);
        self.buffer()
    }

    /// Takes the newest task.
    ///
    /// # Safety
    /// Only the owning thread.
    #[inline]
    pub(crate) unsafe fn pop(&self) -> Option<TaskRef> {
        let bottom = self.bottom.load(Relaxed) - 1;
        // `top` only grows, so an empty look is true and saves the fence.
        if self.top.load(Relaxed) > bottom {
            return None;
        }
        // Release, here and below: as in `push`, for the tasks under this one. A thief may see this store instead of that
        // of their push, and a plain store heads no release sequence (since C++20; the paper's fence covered it).
        self.bottom.store(bottom, Release);
        // SeqCst: orders our claim of the slot before our look at `top`; pairs with the fence in `steal`.
        fence(SeqCst);
        let top = self.top.load(Relaxed);
        if top > bottom {
            self.bottom.store(bottom + 1, Release);
            return None;
        }
        let task = self.buffer().at(bottom).load(Relaxed);
        if top == bottom {
            // The last one: thieves may be after it too.
            let won = self.top.compare_exchange(top, top + 1, SeqCst, Relaxed).is_ok();
            self.bottom.store(bottom + 1, Release);
            if !won {
                return None;
            }
        }
        // SAFETY: the slot was pushed with `into_raw`, and the claim above makes it ours alone.
        Some(unsafe { TaskRef::from_raw(task) })
    }

    /// Takes the newest task if it is `wanted`.
    ///
    /// # Safety
    /// Only the owning thread.
    #[inline]
    pub(crate) unsafe fn pop_if(&self, wanted: &TaskRef) -> Option<TaskRef> {
        let bottom = self.bottom.load(Relaxed);
        if bottom <= self.top.load(Relaxed) || self.buffer().at(bottom - 1).load(Relaxed) != wanted.as_raw() {
            return None;
        }
        // SAFETY: the caller owns the deque. Between the look and here only thieves were at work, and
        // they take from the other end: it pops the wanted one or nothing.
        unsafe { self.pop() }
    }

    /// Takes the oldest task if it is `wanted`. Everybody may.
    #[inline]
    pub(crate) fn steal_if(&self, wanted: &TaskRef) -> Option<TaskRef> {
        let top = self.top.load(Acquire);
        // SeqCst: as in `steal`.
        fence(SeqCst);
        let bottom = self.bottom.load(Acquire);
        if top >= bottom {
            return None;
        }
        let task = self.buffer().at(top).load(Relaxed);
        if task != wanted.as_raw() || self.top.compare_exchange(top, top + 1, SeqCst, Relaxed).is_err() {
            return None;
        }
        // SAFETY: as in `steal`.
        Some(unsafe { TaskRef::from_raw(task) })
    }

    /// Takes the oldest task. Everybody may.
    #[inline]
    pub(crate) fn steal(&self) -> Stolen {
        let top = self.top.load(Acquire);
        // SeqCst: pairs with the fence in `pop`.
        fence(SeqCst);
        let bottom = self.bottom.load(Acquire);
        if top >= bottom {
            return Stolen::Empty;
        }
        let task = self.buffer().at(top).load(Relaxed);
        if self.top.compare_exchange(top, top + 1, SeqCst, Relaxed).is_err() {
            return Stolen::Retry;
        }
        // SAFETY: the slot was pushed with `into_raw`, and the exchange makes it ours alone.
        Stolen::Task(unsafe { TaskRef::from_raw(task) })
    }
}

impl Drop for Deque {
    fn drop(&mut self) {
        while let Stolen::Task(task) = self.steal() {
            drop(task);
        }
        let buffer = self.buffer.load(Relaxed);
        // SAFETY: it came from `Box::into_raw`, and no thief is left.
        drop(unsafe { Box::from_raw(buffer) });
    }
}
