//! Who waits for a task without being one: parked threads, and watchers with something to do.

use super::TaskRef;
use super::arg::TaskWaiter;
use crate::edge::{Edge, Waiter};
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomPinned;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;

/// A thread that is parked until a task ends. It lies on that thread's stack.
#[derive(Debug)]
#[repr(align(8))]
pub(crate) struct Parked {
    edge: UnsafeCell<Edge>,
    woken: AtomicBool,
    thread: Thread,
    _pinned: PhantomPinned,
}

impl Parked {
    /// Parks this thread until `task` has ended.
    #[cold]
    pub(crate) fn until_ended(task: &TaskRef) {
        let parked = Parked {
            edge: UnsafeCell::new(Edge::new()),
            woken: AtomicBool::new(false),
            thread: std::thread::current(),
            _pinned: PhantomPinned,
        };
        let waiter: TaskWaiter = Waiter::Parked(NonNull::from(&parked));
        let edge = NonNull::new(parked.edge.get()).expect("a place on the stack");
        // SAFETY: both lie on this stack frame, which stays until `woken` is set; that is the waker's last touch.
        if unsafe { task.dependents.push(edge, waiter) }.is_err() {
            return;
        }
        // Acquire: pairs with the Release in `wake`.
        while !parked.woken.load(Ordering::Acquire) {
            std::thread::park();
        }
    }

    /// Wakes the thread.
    ///
    /// # Safety
    /// Once, with what the edge's chain handed out.
    pub(crate) unsafe fn wake(this: NonNull<Parked>) {
        // SAFETY: the thread stays in `until_ended` until `woken` is set below.
        let parked = unsafe { this.as_ref() };
        // Cloned first: the thread may go on, and its frame with it, as soon as the flag is set.
        let thread = parked.thread.clone();
        parked.woken.store(true, Ordering::Release);
        thread.unpark();
    }
}

/// Something to do when a task has ended.
#[repr(align(8))]
pub(crate) struct Watcher {
    edge: UnsafeCell<Edge>,
    work: Box<dyn FnOnce() + Send>,
}

impl Watcher {
    /// Does `work` when `task` has ended, on whichever thread ends it; at once if it has. It must be short.
    pub(crate) fn hang(task: &TaskRef, work: Box<dyn FnOnce() + Send>) {
        let watcher = Box::new(Watcher { edge: UnsafeCell::new(Edge::new()), work });
        let watcher = NonNull::from(Box::leak(watcher));
        // SAFETY: just leaked, and not shared yet.
        let edge = unsafe { watcher.as_ref() }.edge.get();
        let edge = NonNull::new(edge).expect("a place in a box");
        let waiter: TaskWaiter = Waiter::Watcher(watcher);
        // SAFETY: the box stays until `notify` takes it.
        if unsafe { task.dependents.push(edge, waiter) }.is_err() {
            // SAFETY: the edge does not hang, so the box is ours.
            unsafe { Watcher::notify(watcher) };
        }
    }

    /// Does the work.
    ///
    /// # Safety
    /// Once, with what the edge's chain handed out, or with a watcher that does not hang.
    pub(crate) unsafe fn notify(this: NonNull<Watcher>) {
        // SAFETY: it was leaked by `hang`, and nobody else has it any more.
        let watcher = unsafe { Box::from_raw(this.as_ptr()) };
        crate::panics::contain(watcher.work);
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}
