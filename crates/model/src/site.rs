//! Where in the user's source a task was spawned.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The name of a task's function and the place of its spawn: one static a use of `spawn!`.
#[derive(Debug)]
pub struct Site {
    /// The function as the user wrote it, for example `add1` or `stats::mean`.
    pub name: &'static str,
    /// The source file of the spawn.
    pub file: &'static str,
    /// The line of the spawn, from 1.
    pub line: u32,
    /// Whether results from here cannot leave the process that makes them.
    stays: AtomicBool,
    /// Bytes of the last result from here, 0 if it was small; [`UNKNOWN`] before the first.
    result_bytes: AtomicU64,
}

/// No task of a site has ended yet.
const UNKNOWN: u64 = u64::MAX;

impl Site {
    /// A site, usually a `static` made by the `spawn!` macro.
    pub const fn new(name: &'static str, file: &'static str, line: u32) -> Site {
        Site { name, file, line, stays: AtomicBool::new(false), result_bytes: AtomicU64::new(UNKNOWN) }
    }

    /// The size of the next result from here, in bytes, as far as can be told: that of the last one, 0 if it was small; `None`
    /// before the first.
    #[inline]
    pub fn result_bytes(&self) -> Option<u64> {
        // Relaxed, here and below: a guess.
        Some(self.result_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes != UNKNOWN)
    }

    /// Whether a result from here could not leave the process that made it.
    pub fn stays(&self) -> bool {
        // Relaxed, here and below: who does not see it yet finds out by himself.
        self.stays.load(Ordering::Relaxed)
    }

    /// A result from here could not leave the process that made it.
    pub fn must_stay(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }

    /// Keeps the size of a result for the next guess.
    pub fn learn_result(&self, bytes: u64) {
        if self.result_bytes() != Some(bytes) {
            self.result_bytes.store(bytes, Ordering::Relaxed);
        }
    }
}

/// What was learned of it does not make it another site.
impl PartialEq for Site {
    fn eq(&self, other: &Site) -> bool {
        (self.name, self.file, self.line) == (other.name, other.file, other.line)
    }
}

impl Eq for Site {}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
