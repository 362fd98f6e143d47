//! What is called before `main` in every process.
//!
//! Workers are the same executable. In a process that was started as a worker this never returns, so the user's `main` does not
//! run, in whatever kind of executable: a program, an example, a test, a benchmark.

use crate::workers::{MARK, worker_main};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};

#[used]
#[unsafe(link_section = ".init_array")]
static ENTER: extern "C" fn() = enter;

/// Called by the loader, before `main`.
extern "C" fn enter() {
    if std::env::var_os(MARK).is_none() {
        return;
    }
    // SAFETY: no other thread is there yet. Programs that a task starts are no workers.
    unsafe { std::env::remove_var(MARK) };
    // As `main` would find it: a peer that is gone is an error of the write, and not the end of this process.
    // SAFETY: no other thread is there yet, and the disposition is one that C allows.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    worker_main(take_stdin());
}

/// The standard input, with nothing to read left in its place: a task that reads there finds the end at once.
fn take_stdin() -> File {
    // SAFETY: a plain call; the result is checked.
    let taken = unsafe { libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3) };
    assert!(taken >= 0, "a worker has a standard input");
    if let Ok(nothing) = File::open("/dev/null") {
        // SAFETY: both are open, and nobody else uses the standard input yet.
        unsafe { libc::dup2(nothing.as_raw_fd(), 0) };
    }
    // SAFETY: it was just made, and is nobody else's.
    unsafe { File::from_raw_fd(taken) }
}
