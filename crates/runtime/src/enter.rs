//! What is called before `main` in every process.
//!
//! Workers are the same executable. In a process that was started as a worker this never returns, so the user's `main` does not
//! run, in whatever kind of executable: a program, an example, a test, a benchmark.

use crate::workers::{
    CONNECTION, JOINS, MARK, OF_SEVERAL, OWNER, Origin, Rank, TAKEN, enter_job, is_in_job, worker_main,
};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};

#[used]
#[unsafe(link_section = ".init_array")]
static ENTER: extern "C" fn() = enter;

/// Called by the loader, before `main`.
extern "C" fn enter() {
    let Some(mark) = std::env::var_os(MARK) else {
        own_what_is_said();
        return enter_by_rank();
    };
    // SAFETY: no other thread is there yet. Programs that a task starts are no workers.
    unsafe { std::env::remove_var(MARK) };
    ignore_broken_pipes();
    let input = take_stdin();
    if mark != JOINS {
        worker_main(Origin::Born(input));
    }
    match std::env::var_os(CONNECTION) {
        Some(file) => worker_main(Origin::Joins(file.into())),
        None => {
            eprintln!("{MARK} is `{JOINS}`, and {CONNECTION} does not say by which file to find worker 1");
            std::process::exit(2)
        }
    }
}

/// What the environment says of several servers is said to this process, and not to programs that it starts.
fn own_what_is_said() {
    let is_said = OF_SEVERAL.iter().any(|name| std::env::var_os(name).is_some());
    if is_said && std::env::var_os(OWNER).is_none() {
        // SAFETY: no other thread is there yet.
        unsafe { std::env::set_var(OWNER, std::process::id().to_string()) };
    }
}

/// In a step of Slurm, or a job of `mpirun`, the process of rank 0 is worker 1, and the others are its workers.
fn enter_by_rank() {
    let Some(rank) = Rank::of_environment() else { return };
    // SAFETY: no other thread is there yet. Programs that a task starts are not of that rank.
    unsafe { std::env::set_var(TAKEN, "1") };
    if let Err(why) = enter_job(&rank) {
        eprintln!("{why}");
        std::process::exit(1)
    }
    if rank.number == 0 {
        return;
    }
    ignore_broken_pipes();
    drop(take_stdin());
    if is_in_job() {
        worker_main(Origin::Rank { here: rank.here });
    }
    match rank.connection_file() {
        Ok(file) => worker_main(Origin::Joins(file)),
        Err(why) => {
            eprintln!("a worker cannot start: {why}");
            std::process::exit(1)
        }
    }
}

/// As `main` would find it: a peer that is gone is an error of the write, and not the end of this process.
fn ignore_broken_pipes() {
    // SAFETY: no other thread is there yet, and the disposition is one that C allows.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
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
