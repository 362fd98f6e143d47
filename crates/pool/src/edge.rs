//! The dependents of a task: a list that anybody may push to until the task ends and seals it.
//!
//! An [`Edge`] is a node of 16 bytes inside whatever waits: the argument of a dependent task, what a parked thread shares
//! with who wakes it, or a box with a callback. Pushing is one compare-and-swap; ending is one swap, which seals
//! the list, publishes the result and takes all edges at once. See `README.md` for what can race.

use crate::sync::AtomicPtr;
use std::ops::ControlFlow;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

/// A node of the list.
#[derive(Debug)]
#[repr(C, align(8))]
pub(crate) struct Edge {
    next: *mut Edge,
    /// Who waits: a pointer whose low bits say what it points at. Null until the edge is pushed.
    waiter: usize,
}

/// What an [`Edge`]'s waiter points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiter<T, P, W> {
    /// A task, in whose arguments (or order edges) the edge lies.
    Task(NonNull<T>),
    /// A thread that is parked, and what the edge lies in.
    Parked(NonNull<P>),
    /// A watcher, in whose box the edge lies.
    Watcher(NonNull<W>),
}

const PARKED: usize = 1;
const WATCHER: usize = 2;
const KIND: usize = 3;

impl<T, P, W> Waiter<T, P, W> {
    fn pack(self) -> usize {
        match self {
            Waiter::Task(task) => task.as_ptr().expose_provenance(),
            Waiter::Parked(parked) => parked.as_ptr().expose_provenance() | PARKED,
            Waiter::Watcher(watcher) => watcher.as_ptr().expose_provenance() | WATCHER,
        }
    }

    fn unpack(packed: usize) -> Waiter<T, P, W> {
        fn at<X>(address: usize) -> NonNull<X> {
            NonNull::new(std::ptr::with_exposed_provenance_mut(address)).expect("a pushed edge has a waiter")
        }
        match packed & KIND {
            PARKED => Waiter::Parked(at(packed & !KIND)),
            WATCHER => Waiter::Watcher(at(packed & !KIND)),
            _ => Waiter::Task(at(packed)),
        }
    }
}

impl Edge {
    /// An edge that hangs nowhere.
    pub(crate) const fn new() -> Edge {
        Edge { next: null_mut(), waiter: 0 }
    }
}

/// The list: the newest edge, or one of two marks once it is sealed.
#[derive(Debug)]
pub(crate) struct Dependents(AtomicPtr<Edge>);

const DONE: usize = 1;
const FAILED: usize = 3;

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Done,
    Failed,
}

impl Dependents {
    pub(crate) fn new() -> Dependents {
        Dependents(AtomicPtr::new(null_mut()))
    }

    /// How the task ended, if it has.
    #[inline]
    pub(crate) fn ended(&self) -> Option<Ended> {
        // Acquire: pairs with the AcqRel in `seal`; the result is written before.
        match self.0.load(Acquire).addr() {
            DONE => Some(Ended::Done),
            FAILED => Some(Ended::Failed),
            _ => None,
        }
    }

    /// Hangs `edge` up for `waiter`; or tells how the task has ended, and leaves the edge alone.
    ///
    /// # Safety
    /// `edge` and `waiter` stay valid, and nobody else touches the edge, until [`Chain`] hands them out.
    #[inline]
    pub(crate) unsafe fn push<T, P, W>(
        &self,
        edge: NonNull<Edge>,
        waiter: Waiter<T, P, W>,
    ) -> Result<(), Ended> {
        let packed = waiter.pack();
        let mut head = self.0.load(Acquire);
        loop {
            match head.addr() {
                DONE => return Err(Ended::Done),
                FAILED => return Err(Ended::Failed),
                _ => {}
            }
            // SAFETY: the caller lends the edge, which is not in the list yet.
            unsafe { edge.write(Edge { next: head, waiter: packed }) };
            // Release: pairs with the swap in `seal`, which reads the edge.
            match self.0.compare_exchange_weak(head, edge.as_ptr(), Release, Acquire) {
                Ok(_) => return Ok(()),
                Err(seen) => head = seen,
            }
        }
    }

    /// Ends the task: later pushes are refused, and every edge so far is in the returned chain.
    ///
    /// The task may be freed as soon as this returns, unless the caller holds a reference.
    pub(crate) fn seal(&self, ended: Ended) -> Chain {
        let mark = match ended {
            Ended::Done => DONE,
            Ended::Failed => FAILED,
        };
        // AcqRel: publishes the result to `ended` and `push`; reads the edges that `push` wrote.
        let head = self.0.swap(std::ptr::without_provenance_mut(mark), AcqRel);
        debug_assert!(!matches!(head.addr(), DONE | FAILED), "a task ends once");
        Chain { next: head }
    }

    /// Whether somebody waits for the task.
    pub(crate) fn has_any(&self) -> bool {
        // Acquire: pairs with the Release in `push`; the edge is written.
        !matches!(self.0.load(Acquire).addr(), 0 | DONE | FAILED)
    }

    /// Shows every waiter to `look`, newest first, until it breaks.
    ///
    /// # Safety
    /// Nobody seals the list meanwhile.
    pub(crate) unsafe fn walk<T, P, W, B>(
        &self,
        mut look: impl FnMut(Waiter<T, P, W>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        // Acquire: pairs with the Release in `push`; the edges are written.
        let mut edge = self.0.load(Acquire);
        while let Some(at) = NonNull::new(edge).filter(|at| !matches!(at.addr().get(), DONE | FAILED)) {
            // SAFETY: edges leave the list only through the seal.
            let Edge { next, waiter } = unsafe { at.read() };
            look(Waiter::unpack(waiter))?;
            edge = next;
        }
        ControlFlow::Continue(())
    }
}

/// All edges of a task that has ended, newest first.
#[derive(Debug)]
pub(crate) struct Chain {
    next: *mut Edge,
}

impl Chain {
    /// Takes the next waiter. Its edge is not touched again: the waiter may free it.
    pub(crate) fn pop<T, P, W>(&mut self) -> Option<Waiter<T, P, W>> {
        let edge = NonNull::new(self.next)?;
        // SAFETY: `push`'s caller keeps the edge valid until it is handed out, which happens here, once.
        let Edge { next, waiter } = unsafe { edge.read() };
        self.next = next;
        Some(Waiter::unpack(waiter))
    }
}
