//! The deques that thieves look into: one seat a thread that may have tasks.

use crate::deque::Deque;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};
use std::sync::{Mutex, PoisonError};

/// Seats of one pool: its own threads and the program's. A thread without a seat queues where everybody looks.
const SEATS: usize = 2048;

/// The seats.
#[derive(Debug)]
pub(crate) struct Seats {
    deques: Box<[AtomicPtr<Deque>]>,
    /// One more than the highest seat that is taken.
    high: AtomicUsize,
    /// How many seats are taken.
    count: AtomicUsize,
    taken: Mutex<Vec<bool>>,
}

impl Seats {
    pub(crate) fn new() -> Seats {
        Seats {
            deques: (0..SEATS).map(|_| AtomicPtr::new(null_mut())).collect(),
            high: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            taken: Mutex::new(vec![false; SEATS]),
        }
    }

    /// Takes the lowest free seat for `deque`, which lives for ever.
    pub(crate) fn take(&self, deque: &'static Deque) -> Option<usize> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let seat = taken.iter().position(|taken| !taken)?;
        taken[seat] = true;
        self.count.fetch_add(1, Ordering::SeqCst);
        // Pairs with the fence before the look in `taken`: who did not count us is seen by our looks after a push, which
        // have a light fence. The exchange alone does not hold later loads back on Arm.
        fence(Ordering::SeqCst);
        self.deques[seat].store(std::ptr::from_ref(deque).cast_mut(), Ordering::Release);
        self.set_high(&taken);
        Some(seat)
    }

    /// Gives a seat back.
    pub(crate) fn vacate(&self, seat: usize) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken[seat] = false;
        self.count.fetch_sub(1, Ordering::SeqCst);
        self.deques[seat].store(null_mut(), Ordering::Release);
        self.set_high(&taken);
    }

    fn set_high(&self, taken: &[bool]) {
        let high = taken.iter().rposition(|taken| *taken).map_or(0, |seat| seat + 1);
        self.high.store(high, Ordering::Release);
    }

    /// How many seats are taken. Whoever is not counted takes a seat before it pushes a task.
    pub(crate) fn taken(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// How many seats to look at.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.high.load(Ordering::Acquire)
    }

    /// The deque of a seat, if it is taken.
    #[inline]
    pub(crate) fn get(&self, seat: usize) -> Option<&'static Deque> {
        let deque = NonNull::new(self.deques[seat].load(Ordering::Acquire))?;
        // SAFETY: only deques that live for ever take a seat.
        Some(unsafe { deque.as_ref() })
    }

    /// The deques of all taken seats.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static Deque> {
        (0..self.len()).filter_map(|seat| self.get(seat))
    }
}
