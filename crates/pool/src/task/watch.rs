//! Who waits for a task without being one: parked threads, and watchers with something to do.

use super::arg::TaskWaiter;
use super::datum::TaskTurns;
use super::ticket::ask_for;
use super::{Header, TaskRef};
use crate::edge::{Edge, Waiter};
use crate::turns::Usage;
use std::cell::{RefCell, UnsafeCell};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// A thread that is parked until a task ends. It is shared by that thread and the list in which it hangs.
#[repr(align(8))]
pub(crate) struct Parked {
    edge: UnsafeCell<Edge>,
    woken: AtomicBool,
    /// The thread goes on without the task's end.
    left: AtomicBool,
    thread: Thread,
    /// The tasks in whose middle the thread is.
    frames: Vec<NonNull<Header>>,
    /// The queues in which the thread has turns without being a task.
    held: Vec<(NonNull<TaskTurns>, Usage)>,
}

// SAFETY: the edge is touched only through the list that it hangs in; the frames are only pointers here.
unsafe impl Send for Parked {}
// SAFETY: as above.
unsafe impl Sync for Parked {}

impl Parked {
    /// This thread, in the middle of these tasks, with these turns of its own.
    pub(crate) fn new(frames: Vec<NonNull<Header>>, held: Vec<(NonNull<TaskTurns>, Usage)>) -> Arc<Parked> {
        Arc::new(Parked {
            edge: UnsafeCell::new(Edge::new()),
            woken: AtomicBool::new(false),
            left: AtomicBool::new(false),
            thread: std::thread::current(),
            frames,
            held,
        })
    }

    /// Hangs the thread on `task`, once; false when the task has ended.
    pub(crate) fn hang(self: &Arc<Parked>, task: &TaskRef) -> bool {
        let edge = NonNull::new(self.edge.get()).expect("a place on the heap");
        let lists = Arc::into_raw(self.clone());
        let waiter: TaskWaiter = Waiter::Parked(NonNull::new(lists.cast_mut()).expect("a place on the heap"));
        // SAFETY: the list's reference keeps both in place until `wake` takes it.
        let hangs = unsafe { task.dependents.push(edge, waiter) }.is_ok();
        if !hangs {
            // SAFETY: the list did not take the reference made above.
            drop(unsafe { Arc::from_raw(lists) });
        }
        hangs
    }

    /// Parks this thread, `pause` at most; true when it was woken.
    pub(crate) fn wait(&self, pause: Duration) -> bool {
        let start = Instant::now();
        // Acquire: pairs with the Release in `wake`.
        while !self.woken.load(Ordering::Acquire) {
            match pause.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
                Some(left) => std::thread::park_timeout(left),
                None => return false,
            }
        }
        true
    }

    /// Goes on without having been woken.
    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// The tasks in whose middle the thread is.
    pub(crate) fn frames(&self) -> &[NonNull<Header>] {
        &self.frames
    }

    /// The queues in which the thread has turns without being a task.
    pub(crate) fn held(&self) -> &[(NonNull<TaskTurns>, Usage)] {
        &self.held
    }

    /// Whether the thread goes on: then its tasks and its turns may be gone.
    pub(crate) fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Wakes the thread.
    ///
    /// # Safety
    /// Once, with what the edge's chain handed out.
    pub(crate) unsafe fn wake(this: NonNull<Parked>) {
        // SAFETY: the reference that `hang` gave to the list.
        let parked = unsafe { Arc::from_raw(this.as_ptr().cast_const()) };
        parked.woken.store(true, Ordering::Release);
        Wakes::wake(&parked.thread);
    }
}

thread_local! {
    /// What this thread gathers, while it does.
    static GATHERED: RefCell<Option<Gathered>> = const { RefCell::new(None) };
}

/// Threads that are going to be woken, and since when the first of them waits for that.
#[derive(Default)]
struct Gathered {
    threads: Vec<Thread>,
    since: Option<Instant>,
}

/// While this is there, threads that wait for tasks which this thread ends are gathered, and woken together. A wake is a call of the
/// kernel, and who is woken for one task of many sleeps again at the next one.
#[derive(Debug)]
pub struct Wakes(PhantomData<*const ()>);

impl Wakes {
    /// Gathers them from now on.
    pub fn gather() -> Wakes {
        GATHERED.with_borrow_mut(|gathered| {
            gathered.get_or_insert_default();
        });
        Wakes(PhantomData)
    }

    /// Wakes those that were gathered, if the first of them has waited for so long.
    pub fn wake_after(&self, pause: Duration) {
        let since = GATHERED.with_borrow(|gathered| gathered.as_ref().and_then(|gathered| gathered.since));
        if since.is_some_and(|since| since.elapsed() >= pause) {
            self.wake_all();
        }
    }

    /// Wakes those that were gathered.
    pub fn wake_all(&self) {
        GATHERED.with_borrow_mut(|gathered| {
            if let Some(Gathered { threads, since }) = gathered {
                *since = None;
                threads.drain(..).for_each(|thread| thread.unpark());
            }
        });
    }

    fn wake(thread: &Thread) {
        // A thread that ends gathers no more.
        let is_gathered = GATHERED.try_with(|gathered| match &mut *gathered.borrow_mut() {
            Some(Gathered { threads, since }) => {
                since.get_or_insert_with(Instant::now);
                threads.push(thread.clone());
                true
            }
            None => false,
        });
        if !is_gathered.unwrap_or(false) {
            thread.unpark();
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.wake_all();
        GATHERED.set(None);
    }
}

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parked").field("thread", &self.thread).finish_non_exhaustive()
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
        ask_for(task);
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
