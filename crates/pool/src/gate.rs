//! Who may run a task, and when: one atomic word.
//!
//! The word holds the number of inputs that have not ended, and who has the right to end the task:
//!
//! ```text
//!  HELD ──launch──► WIRING ──wired──► count > 0 ──last input ends──► 0 (ready) ──claim──► CLAIMED
//!    │                 │ an input fails: POISONED                      │                     ▲
//!    └──────cancel─────┼──────────────────► any ──cancel, input fails──┴─────────────────────┘
//! ```
//!
//! Exactly one party wins `CLAIMED` (or is told `POISONED`), and only the winner runs the task or makes it fail. The count goes on
//! falling after that: each input that ends takes its edge back, and whoever takes the last edge of a task
//! that was claimed early ([`Satisfied::Spent`]) gives its arguments back, because nobody else can still
//! touch the edges inside them.

use crate::sync::{AtomicU32, fence};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const CLAIMED: u32 = 1 << 31;
const POISONED: u32 = 1 << 30;
const WIRING: u32 = 1 << 29;
const HELD: u32 = 1 << 28;
/// Inputs that have not ended; while wiring, above [`BIAS`] minus those that ended meanwhile.
const COUNT: u32 = HELD - 1;
/// Keeps inputs that end during wiring from making the task ready. Half of the range of the count.
const BIAS: u32 = 1 << 27;
/// Inputs of one task.
pub(crate) const INPUTS_MAX: u32 = BIAS / 2;

/// The word. See the module's page.
#[derive(Debug)]
pub(crate) struct Gate(AtomicU32);

/// What became of a task whose wiring ended.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Wired {
    Waiting,
    Ready,
    /// An input failed meanwhile: still wiring, and the caller has the right to end the task. `unwire` follows.
    Poisoned,
}

/// What became of a task when one of its inputs took its edge back.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Satisfied {
    Waiting,
    /// The last input has ended: the caller queues the task.
    Ready,
    /// The task was claimed before, and this was its last edge: the caller gives its arguments back.
    Spent,
}

/// Whether a claim out of turn (a cancel, a failed input) was won.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Claim {
    Lost,
    /// The caller ends the task. With `edges_left` its arguments are still hung on inputs.
    Won {
        edges_left: bool,
    },
}

impl Gate {
    /// Of a task that a region holds back.
    pub(crate) fn held() -> Gate {
        Gate(AtomicU32::new(HELD))
    }

    /// Of a task whose inputs are being hung up.
    pub(crate) fn wiring() -> Gate {
        Gate(AtomicU32::new(WIRING | BIAS))
    }

    /// Of a task without inputs.
    pub(crate) fn ready() -> Gate {
        Gate(AtomicU32::new(0))
    }

    /// Of a task that is ended from outside: it never becomes ready.
    pub(crate) fn external() -> Gate {
        Gate(AtomicU32::new(1))
    }

    /// Begins to wire a held task; false when it was claimed while it was held.
    pub(crate) fn launch(&self) -> bool {
        // Acquire: pairs with the Release of whoever built the task.
        self.0.compare_exchange(HELD, WIRING | BIAS, Acquire, Relaxed).is_ok()
    }

    /// Holds a task back again that was launched, and hung on nothing yet.
    pub(crate) fn hold(&self) {
        // Nobody else changes the word of a task that is being wired and has no edge out. Release: as for a new task.
        self.0.store(HELD, Release);
    }

    /// Ends wiring with `edges` edges out, unless the task is poisoned.
    #[inline]
    pub(crate) fn wired(&self, edges: u32) -> Wired {
        let mut now = self.0.load(Relaxed);
        loop {
            if now & POISONED != 0 {
                // Pairs with the AcqRel of `input_failed`: the input's error is there to be read.
                fence(Acquire);
                return Wired::Poisoned;
            }
            let next = now - (WIRING + (BIAS - edges));
            // AcqRel: the last input to end must see the wired arguments, and we what the others wrote.
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) if next == 0 => return Wired::Ready,
                Ok(_) => return Wired::Waiting,
                Err(seen) => now = seen,
            }
        }
    }

    /// Keeps inputs that fail from now on away: the task, which is being wired, fails by its spawner's hand.
    pub(crate) fn refuse(&self) {
        self.0.fetch_or(POISONED, Relaxed);
    }

    /// Ends the wiring of a poisoned task that was ended; `Spent` when no edge is out.
    pub(crate) fn unwire(&self, edges: u32) -> Satisfied {
        let less = WIRING + (BIAS - edges);
        // AcqRel: as in `satisfy`.
        let left = self.0.fetch_sub(less, AcqRel) - less;
        if left & COUNT == 0 { Satisfied::Spent } else { Satisfied::Waiting }
    }

    /// Takes the edge of an input that ended back.
    pub(crate) fn satisfy(&self) -> Satisfied {
        // AcqRel: the last one must see what all the others wrote before.
        let before = self.0.fetch_sub(1, AcqRel);
        debug_assert_ne!(before & COUNT, 0, "an edge is taken back once");
        match (before & COUNT == 1, before & (CLAIMED | POISONED) != 0) {
            (false, _) => Satisfied::Waiting,
            (true, false) => Satisfied::Ready,
            (true, true) => Satisfied::Spent,
        }
    }

    /// Tells the task that an input failed. The input's edge stays out: `satisfy` follows, once the
    /// winner has ended the task.
    pub(crate) fn input_failed(&self) -> Claim {
        let mut now = self.0.load(Relaxed);
        loop {
            let next = match now {
                _ if now & (CLAIMED | POISONED) != 0 => return Claim::Lost,
                // The spawner still writes the arguments: it ends the task itself.
                _ if now & WIRING != 0 => now | POISONED,
                _ => now | CLAIMED,
            };
            // AcqRel: the winner reads the arguments, and a poisoned spawner reads our error.
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) if next & WIRING != 0 => return Claim::Lost,
                Ok(_) => return Claim::Won { edges_left: true },
                Err(seen) => now = seen,
            }
        }
    }

    /// Claims a task that does not run, for a cancel.
    pub(crate) fn cancel(&self) -> Claim {
        let mut now = self.0.load(Relaxed);
        loop {
            // A task that is being wired is busy: its spawner looks for a cancel when it is done.
            if now & (CLAIMED | POISONED | WIRING) != 0 {
                return Claim::Lost;
            }
            match self.0.compare_exchange_weak(now, now | CLAIMED, AcqRel, Relaxed) {
                Ok(_) => return Claim::Won { edges_left: now & COUNT > 0 },
                Err(seen) => now = seen,
            }
        }
    }

    /// Claims a ready task, to run it.
    #[inline]
    pub(crate) fn claim(&self) -> bool {
        // Looked at first: a failed exchange would take the cache line from whoever works on it.
        // Acquire: pairs with the AcqRel of the last `satisfy`; the arguments are complete.
        self.0.load(Relaxed) == 0 && self.0.compare_exchange(0, CLAIMED, Acquire, Relaxed).is_ok()
    }

    /// Makes a claimed task ready again, for its next attempt. Only its claimer may.
    pub(crate) fn reopen(&self) {
        // Release: pairs with the Acquire of the next `claim`, which runs with the new arguments.
        self.0.store(0, Release);
    }

    /// Makes a claimed task wait for one `satisfy`, by whoever ends its pause. Only its claimer may.
    pub(crate) fn pause(&self) {
        // Release: as in `reopen`.
        self.0.store(1, Release);
    }

    /// Whether the task looked ready just now, and nobody's.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    /// How many inputs of a task that nobody has claimed had not ended just now; `None` for others, and while it is wired.
    pub(crate) fn missing(&self) -> Option<u32> {
        let word = self.0.load(Relaxed);
        let is_waiting = word & (CLAIMED | POISONED | WIRING | HELD) == 0;
        (is_waiting && word & COUNT > 0).then_some(word & COUNT)
    }

    /// Whether a region holds the task back.
    pub(crate) fn is_held(&self) -> bool {
        self.0.load(Relaxed) & HELD != 0
    }
}
