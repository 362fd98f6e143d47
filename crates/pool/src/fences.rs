//! An asymmetric pair of fences: nothing on the side of those who push tasks, a system call on the side of those
//! who go to sleep.
//!
//! `membarrier` makes every running thread of the process execute a full fence, so that a pusher needs none of its own
//! (Linux 4.14; `membarrier(2)`). Elsewhere both sides are plain fences.

use crate::sync::fence;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};

/// Whether `membarrier` works here.
static ASYMMETRIC: AtomicBool = AtomicBool::new(false);

/// Finds out whether `membarrier` works, once, before the first push.
pub(crate) fn prepare() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| ASYMMETRIC.store(register(), Ordering::SeqCst));
}

/// Orders what came before with what comes after, against [`heavy`] on another thread.
#[inline]
pub(crate) fn light() {
    if ASYMMETRIC.load(Ordering::Relaxed) {
        compiler_fence(SeqCst);
    } else {
        fence(SeqCst);
    }
}

/// The other side of [`light`].
pub(crate) fn heavy() {
    if ASYMMETRIC.load(Ordering::Relaxed) {
        barrier();
    }
    fence(SeqCst);
}

#[cfg(all(target_os = "linux", not(loom)))]
mod linux {
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: the call touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    pub(super) fn register() -> bool {
        membarrier(REGISTER_PRIVATE_EXPEDITED) && membarrier(PRIVATE_EXPEDITED)
    }

    pub(super) fn barrier() {
        assert!(membarrier(PRIVATE_EXPEDITED), "membarrier worked when the pool started");
    }
}

#[cfg(all(target_os = "linux", not(loom)))]
use linux::{barrier, register};

#[cfg(not(all(target_os = "linux", not(loom))))]
fn register() -> bool {
    false
}

#[cfg(not(all(target_os = "linux", not(loom))))]
fn barrier() {}
