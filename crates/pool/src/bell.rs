//! Who must be called for a new task: the counters that pushers read and searchers keep.
//!
//! Each processor is `FREE`, `SEARCHING` or `TAKEN`, as [`crew`](crate::crew) says. Beside the states stand two sums, so that
//! a push reads two words however many processors there are. `README.md` argues that no call is lost; loom plays it.

use crate::fences;
use crate::sync::{AtomicU32, Padded};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

const FREE: u32 = 0;
const TAKEN: u32 = 1;
const SEARCHING: u32 = 2;

/// In the sum of free processors: another process wants work. More processors than are here.
const WANTED: u32 = 1 << 16;

/// The states of the processors, and their sums.
#[derive(Debug)]
pub(crate) struct Bell {
    processors: Box<[Padded<AtomicU32>]>,
    /// How many processors are `FREE`. Follows the states a moment later, so it may be one below zero for a moment.
    free: Padded<AtomicU32>,
    /// How many threads look for work, whoever has their processor meanwhile.
    searching: Padded<AtomicU32>,
    /// Whether another process wants work.
    is_wanted: AtomicBool,
}

impl Bell {
    pub(crate) fn new(processors: usize) -> Bell {
        Bell {
            processors: (0..processors).map(|_| Padded(AtomicU32::new(FREE))).collect(),
            free: Padded(AtomicU32::new(processors as u32)),
            searching: Padded(AtomicU32::new(0)),
            is_wanted: AtomicBool::new(false),
        }
    }

    /// How many processors there are.
    pub(crate) fn len(&self) -> u32 {
        self.processors.len() as u32
    }

    /// Whether a new task needs somebody to be woken: there is a free processor, and nobody looks for work.
    ///
    /// The task must have been published before.
    #[inline]
    pub(crate) fn needs_call(&self) -> bool {
        // Orders our push before our look; pairs with the heavy fence of those who stop searching.
        fences::light();
        self.free.load(Relaxed) != 0 && self.searching.load(Relaxed) == 0
    }

    /// From now on, or not any more, a new task needs somebody to be called, even if no processor is free here.
    pub(crate) fn want(&self, wanted: bool) {
        // One may be below zero for a moment in the lower half: the flag is an addition, too.
        let before = self.is_wanted.swap(wanted, SeqCst);
        match (before, wanted) {
            (false, true) => drop(self.free.fetch_add(WANTED, SeqCst)),
            (true, false) => drop(self.free.fetch_sub(WANTED, SeqCst)),
            _ => {}
        }
    }

    /// Whether another process wanted work; not any more.
    pub(crate) fn was_wanted(&self) -> bool {
        let was = self.is_wanted.load(Relaxed) && self.is_wanted.swap(false, SeqCst);
        if was {
            self.free.fetch_sub(WANTED, SeqCst);
        }
        was
    }

    /// How many processors are free, about.
    pub(crate) fn free(&self) -> u32 {
        self.processors.iter().filter(|state| state.load(Relaxed) == FREE).count() as u32
    }

    /// Takes a processor that is free or whose thread only searches.
    pub(crate) fn take(&self, processor: u32) -> bool {
        let state = &self.processors[processor as usize];
        match state.load(Relaxed) {
            FREE if state.compare_exchange(FREE, TAKEN, AcqRel, Relaxed).is_ok() => {
                self.free.fetch_sub(1, SeqCst);
                true
            }
            SEARCHING => state.compare_exchange(SEARCHING, TAKEN, AcqRel, Relaxed).is_ok(),
            _ => false,
        }
    }

    /// Lets go of a taken processor. The caller looks for work that is left alone, afterwards.
    pub(crate) fn release(&self, processor: u32) {
        debug_assert_eq!(self.processors[processor as usize].load(Relaxed), TAKEN);
        // SeqCst: the look for work that follows must not come before this.
        self.processors[processor as usize].store(FREE, SeqCst);
        self.free.fetch_add(1, SeqCst);
    }

    /// Begins to search, with a taken processor.
    pub(crate) fn search(&self, processor: u32) {
        self.searching.fetch_add(1, SeqCst);
        self.processors[processor as usize].store(SEARCHING, SeqCst);
    }

    /// Ends the search, with work in sight; false when somebody took the processor. The caller looks for work that is
    /// left alone, afterwards.
    pub(crate) fn found(&self, processor: u32) -> bool {
        let state = &self.processors[processor as usize];
        let kept = state.compare_exchange(SEARCHING, TAKEN, AcqRel, Relaxed).is_ok();
        self.searching.fetch_sub(1, SeqCst);
        kept
    }

    /// Ends the search without work. The caller fences heavily and looks once more, afterwards.
    pub(crate) fn give_up(&self, processor: u32) {
        self.free_searching(processor);
        self.searching.fetch_sub(1, SeqCst);
    }

    /// Takes a free processor that is `wanted` for a thread that will search with it.
    pub(crate) fn call(&self, wanted: impl Fn(u32) -> bool) -> Option<u32> {
        let processor = (0..self.len()).find(|processor| {
            let state = &self.processors[*processor as usize];
            state.load(Relaxed) == FREE
                && wanted(*processor)
                && state.compare_exchange(FREE, SEARCHING, AcqRel, Relaxed).is_ok()
        })?;
        self.free.fetch_sub(1, SeqCst);
        self.searching.fetch_add(1, SeqCst);
        Some(processor)
    }

    /// Takes a call back for which there was no thread.
    pub(crate) fn call_off(&self, processor: u32) {
        self.searching.fetch_sub(1, SeqCst);
        self.free_searching(processor);
    }

    fn free_searching(&self, processor: u32) {
        let state = &self.processors[processor as usize];
        if state.compare_exchange(SEARCHING, FREE, SeqCst, Relaxed).is_ok() {
            self.free.fetch_add(1, SeqCst);
        }
    }

    /// Whether a processor is taken.
    pub(crate) fn is_taken(&self, processor: u32) -> bool {
        self.processors[processor as usize].load(Acquire) == TAKEN
    }

    /// Checks what must hold while nobody is in the middle of a step.
    #[cfg(all(test, loom))]
    pub(crate) fn check(&self) {
        let are = |state| self.processors.iter().filter(|now| now.load(SeqCst) == state).count() as u32;
        assert_eq!(self.free.load(SeqCst), are(FREE), "the sum follows the states");
        assert!(
            self.searching.load(SeqCst) >= are(SEARCHING),
            "a thread looks with each searching processor"
        );
    }
}
