//! Memory for task objects: free lists by size, one set a thread, with a depot between the threads.
//!
//! Task objects are small, of few sizes, and often die on another thread than the one that made them. A
//! thread takes from and gives to its own lists without a lock; when a list runs empty or over, a whole
//! batch moves between it and the depot, under the depot's lock. The lists are the "magazines" of Bonwick and Adams,
//! "Magazines and Vmem" (USENIX 2001), in their simplest form.
//!
//! Blocks are carved from slabs that are never given back to the system: the memory held is what the largest number
//! of tasks alive at one time needed.

use crate::sync::Padded;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{NonNull, null_mut};
use std::sync::{Mutex, PoisonError};

/// Blocks are multiples of this, in bytes, and aligned to it.
const GRAIN: usize = 16;
/// The largest block, in bytes; larger objects come from the system's allocator.
const BLOCK_MAX: usize = 512;
const CLASSES: usize = BLOCK_MAX / GRAIN;
/// Blocks that move between a thread and the depot at a time: few enough that a thread holds little, enough that
/// the depot's lock costs nothing a block.
const BATCH: u32 = 128;
/// One slab, in bytes: a huge page, so that fresh memory costs few page faults.
const SLAB: usize = 2 << 20;
/// The first slab, for programs with few tasks.
const FIRST_SLAB: usize = 64 << 10;

/// Where memory of one layout comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Class {
    layout: Layout,
    /// The free list; `CLASSES` for the system's allocator.
    list: usize,
}

impl Class {
    /// Of objects of this layout.
    pub(crate) const fn of(layout: Layout) -> Class {
        let small = layout.align() <= GRAIN && layout.size() <= BLOCK_MAX;
        if cfg!(any(loom, poniard_system_blocks)) || !small {
            return Class { layout, list: CLASSES };
        }
        Class { layout, list: layout.size().div_ceil(GRAIN).saturating_sub(1) }
    }
}

/// A free block.
struct Free {
    next: *mut Free,
}

/// One thread's free blocks.
#[derive(Debug)]
pub(crate) struct Blocks {
    lists: [List; CLASSES],
}

#[derive(Debug)]
struct List {
    head: Cell<*mut Free>,
    len: Cell<u32>,
}

impl Blocks {
    pub(crate) const fn new() -> Blocks {
        Blocks { lists: [const { List { head: Cell::new(null_mut()), len: Cell::new(0) } }; CLASSES] }
    }

    /// Memory for one object of `class`.
    #[inline]
    pub(crate) fn take(&self, class: Class) -> NonNull<u8> {
        let Some(list) = self.lists.get(class.list) else { return from_system(class.layout) };
        let block = match NonNull::new(list.head.get()) {
            Some(block) => block,
            None => list.refill(class.list),
        };
        // SAFETY: a block in a list is free and holds a `Free`; only this thread has the list.
        list.head.set(unsafe { block.read() }.next);
        list.len.set(list.len.get() - 1);
        block.cast()
    }

    /// Gives the memory of an object back.
    ///
    /// # Safety
    /// `block` came from `take` (of any thread) with the same class, and nobody uses it any more.
    #[inline]
    pub(crate) unsafe fn give(&self, block: NonNull<u8>, class: Class) {
        let Some(list) = self.lists.get(class.list) else {
            // SAFETY: without a list it came from the system's allocator.
            return unsafe { to_system(block, class.layout) };
        };
        let block = block.cast::<Free>();
        // SAFETY: the caller gives the block up, and every block is large enough for a `Free`.
        unsafe { block.write(Free { next: list.head.get() }) };
        list.head.set(block.as_ptr());
        list.len.set(list.len.get() + 1);
        if list.len.get() >= 2 * BATCH {
            list.hand_over(class.list);
        }
    }

    /// Gives all blocks to the depot, when the thread ends.
    pub(crate) fn empty(&self) {
        for (class, list) in self.lists.iter().enumerate() {
            let (head, len) = (list.head.replace(null_mut()), list.len.replace(0));
            if !head.is_null() {
                depot(class, |depot| depot.batches.push(Batch { head, len }));
            }
        }
    }
}

impl List {
    /// Fills the empty list from the depot and gives its first block.
    #[cold]
    #[inline(never)]
    fn refill(&self, class: usize) -> NonNull<Free> {
        let batch = depot(class, |depot| depot.batches.pop().unwrap_or_else(|| depot.carve(class)));
        self.len.set(batch.len);
        self.head.set(batch.head);
        NonNull::new(batch.head).expect("a batch has blocks")
    }

    /// Hands the newest `BATCH` blocks to the depot.
    #[cold]
    #[inline(never)]
    fn hand_over(&self, class: usize) {
        let head = self.head.get();
        let mut last = NonNull::new(head).expect("the list is over");
        for _ in 1..BATCH {
            // SAFETY: the list has at least `2 * BATCH` blocks, each a `Free`.
            let next = unsafe { last.read() }.next;
            last = NonNull::new(next).expect("the list is longer than a batch");
        }
        // SAFETY: as above; this cuts the list behind the batch.
        let rest = unsafe { last.replace(Free { next: null_mut() }) }.next;
        self.head.set(rest);
        self.len.set(self.len.get() - BATCH);
        depot(class, |depot| depot.batches.push(Batch { head, len: BATCH }));
    }
}

thread_local! {
    /// It has no destructor, so that tasks may be freed to the very end of a thread.
    static MINE: Mine = const { Mine { blocks: Blocks::new(), state: Cell::new(State::New) } };
    /// Gives the blocks to the depot when the thread ends.
    static HAND_BACK: HandBack = const { HandBack };
}

/// This thread's blocks.
struct Mine {
    blocks: Blocks,
    state: Cell<State>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Nothing was taken or given yet.
    New,
    Open,
    /// The thread ends: what it frees goes to the depot.
    Ended,
}

struct HandBack;

impl Drop for HandBack {
    fn drop(&mut self) {
        MINE.with(|mine| {
            mine.state.set(State::Ended);
            mine.blocks.empty();
        });
    }
}

#[cold]
fn open(mine: &Mine) {
    if mine.state.get() == State::New {
        mine.state.set(State::Open);
        // A thread that is ending runs no more destructors; its few blocks are lost.
        let _ = HAND_BACK.try_with(|_| ());
    }
}

/// Memory for one task object.
#[inline]
pub(crate) fn take(class: Class) -> NonNull<u8> {
    MINE.with(|mine| {
        if mine.state.get() != State::Open {
            open(mine);
        }
        mine.blocks.take(class)
    })
}

/// Gives the memory of a task object back.
///
/// # Safety
/// As for [`Blocks::give`].
#[inline]
pub(crate) unsafe fn give(block: NonNull<u8>, class: Class) {
    MINE.with(|mine| {
        if mine.state.get() == State::Open {
            // SAFETY: the caller's promise.
            return unsafe { mine.blocks.give(block, class) };
        }
        open(mine);
        // SAFETY: the caller's promise.
        unsafe { give_to_depot(block, class) };
    });
}

/// Gives one block back on a thread that has no lists.
///
/// # Safety
/// As for [`Blocks::give`].
unsafe fn give_to_depot(block: NonNull<u8>, class: Class) {
    if class.list == CLASSES {
        // SAFETY: without a list it came from the system's allocator.
        return unsafe { to_system(block, class.layout) };
    }
    let head = block.cast::<Free>();
    // SAFETY: the caller gives the block up, and every block is large enough for a `Free`.
    unsafe { head.write(Free { next: null_mut() }) };
    depot(class.list, |depot| depot.batches.push(Batch { head: head.as_ptr(), len: 1 }));
}

/// Free blocks of one size that no thread has.
struct Depot {
    batches: Vec<Batch>,
    /// The rest of the newest slab.
    fresh: *mut u8,
    fresh_bytes: usize,
    slabs: usize,
}

struct Batch {
    head: *mut Free,
    len: u32,
}

// SAFETY: the blocks of a depot are free, so nobody else points at them; the depot is behind a lock.
unsafe impl Send for Depot {}

static DEPOTS: [Padded<Mutex<Depot>>; CLASSES] = [const {
    Padded(Mutex::new(Depot { batches: Vec::new(), fresh: null_mut(), fresh_bytes: 0, slabs: 0 }))
}; CLASSES];

fn depot<R>(class: usize, work: impl FnOnce(&mut Depot) -> R) -> R {
    work(&mut DEPOTS[class].lock().unwrap_or_else(PoisonError::into_inner))
}

impl Depot {
    /// Cuts a batch of fresh blocks from the newest slab.
    fn carve(&mut self, class: usize) -> Batch {
        let size = (class + 1) * GRAIN;
        if self.fresh_bytes < size {
            self.new_slab();
        }
        let len = (self.fresh_bytes / size).min(BATCH as usize);
        let mut head = null_mut();
        // From the end, so that the list runs up through the slab.
        for index in (0..len).rev() {
            // SAFETY: `len` blocks of `size` bytes fit into what is left of the slab.
            let block = unsafe { self.fresh.add(index * size) }.cast::<Free>();
            // SAFETY: slabs are aligned to pages and sizes are multiples of `GRAIN`; the memory is fresh.
            unsafe { block.write(Free { next: head }) };
            head = block;
        }
        // SAFETY: still inside the slab, or one past its end.
        self.fresh = unsafe { self.fresh.add(len * size) };
        self.fresh_bytes -= len * size;
        Batch { head, len: len as u32 }
    }

    fn new_slab(&mut self) {
        let bytes = if self.slabs == 0 { FIRST_SLAB } else { SLAB };
        let layout = Layout::from_size_align(bytes, bytes).expect("sizes of slabs are powers of two");
        let slab = from_system(layout).as_ptr();
        if bytes == SLAB {
            // SAFETY: advice on memory that is ours; where the kernel has no huge pages it refuses, which is fine.
            unsafe { libc::madvise(slab.cast(), bytes, libc::MADV_HUGEPAGE) };
        }
        self.slabs += 1;
        self.fresh = slab;
        self.fresh_bytes = bytes;
    }
}

#[cold]
fn from_system(layout: Layout) -> NonNull<u8> {
    debug_assert_ne!(layout.size(), 0, "a task object has a header");
    // SAFETY: the size is not zero.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// # Safety
/// `block` came from `from_system` with the same layout.
#[cold]
unsafe fn to_system(block: NonNull<u8>, layout: Layout) {
    // SAFETY: the caller's promise.
    unsafe { dealloc(block.as_ptr(), layout) }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Blocks that are out at the same time never overlap, however they are taken and given back.
        #[test]
        fn blocks_never_overlap(steps in prop::collection::vec((any::<bool>(), 1usize..600, 0usize..64), 1..400)) {
            let blocks = Blocks::new();
            let mut out: Vec<(NonNull<u8>, Layout)> = Vec::new();
            for (take, size, which) in steps {
                if take || out.is_empty() {
                    let layout = Layout::from_size_align(size.max(16), 8).unwrap();
                    let block = blocks.take(Class::of(layout));
                    let (start, end) = (block.addr().get(), block.addr().get() + layout.size());
                    for (other, other_layout) in &out {
                        let (from, to) = (other.addr().get(), other.addr().get() + other_layout.size());
                        prop_assert!(end <= from || to <= start);
                    }
                    out.push((block, layout));
                } else {
                    let (block, layout) = out.swap_remove(which % out.len());
                    // SAFETY: taken above with this layout, and forgotten here.
                    unsafe { blocks.give(block, Class::of(layout)) };
                }
            }
            for (block, layout) in out {
                // SAFETY: taken above with this layout, and forgotten here.
                unsafe { give_to_depot(block, Class::of(layout)) };
            }
            blocks.empty();
        }
    }

    #[test]
    fn blocks_move_between_threads_and_are_used_again() {
        let layout = Layout::from_size_align(96, 8).unwrap();
        let made = std::thread::spawn(move || {
            let blocks = Blocks::new();
            let out: Vec<usize> =
                (0..1000).map(|_| blocks.take(Class::of(layout)).expose_provenance().get()).collect();
            out
        })
        .join()
        .unwrap();
        let blocks = Blocks::new();
        for address in &made {
            let block = NonNull::new(std::ptr::with_exposed_provenance_mut(*address)).unwrap();
            // SAFETY: taken by the other thread, which has ended, with this layout.
            unsafe { blocks.give(block, Class::of(layout)) };
        }
        blocks.empty();
        let again: Vec<NonNull<u8>> = (0..1000).map(|_| blocks.take(Class::of(layout))).collect();
        let reused = again.iter().filter(|block| made.contains(&block.addr().get())).count();
        assert!(cfg!(poniard_system_blocks) || reused > 500, "{reused} of 1000");
        for block in again {
            // SAFETY: taken above.
            unsafe { blocks.give(block, Class::of(layout)) };
        }
        blocks.empty();
    }
}
