//! The pool by its own public words: what each way to end a task leaves behind, and that nothing is lost or done twice.
//!
//! One pool of two processors serves all tests of a process. A test that blocks processors, halts, or wants another pool
//! has it [`alone`]; the others share it. Nothing here sleeps to be right: tests wait for ends, channels and barriers.
// `drop(x)` says that the value of `x` does not matter, whatever it is.
#![allow(clippy::unit_arg, clippy::drop_non_drop)]

mod away;
mod counted;
mod ends;
mod halts;
mod homes;
mod kept;
mod place;
mod races;
mod remote;
mod retry;
mod threads;
mod told;
mod turns;
mod waits;
mod weak;

use crate::{Config, Extra, Handle, Local, spawn, spawn_with, start, stop};
use poniard_model::{Cause, Data, Site, TaskError};
use std::sync::mpsc::channel;
use std::sync::{Once, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

static SITE: Site = Site::new("test", file!(), 0);
static USE: RwLock<()> = RwLock::new(());
const PROCESSORS: usize = 2;
/// Bytes that running tasks may have declared together.
const MEMORY: u64 = 1000;
/// Nothing here takes this long, under valgrind neither.
const PATIENCE: Duration = Duration::from_secs(100);

/// The pool, with others.
fn together() -> RwLockReadGuard<'static, ()> {
    let guard = USE.read().unwrap_or_else(PoisonError::into_inner);
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = start(Config { threads: PROCESSORS, memory: MEMORY });
    });
    guard
}

/// The pool, for one test.
fn alone() -> RwLockWriteGuard<'static, ()> {
    drop(together());
    USE.write().unwrap_or_else(PoisonError::into_inner)
}

/// A pool with another number of processors, for one test.
struct Other(#[expect(dead_code, reason = "keeps the others out")] RwLockWriteGuard<'static, ()>);

fn other(threads: usize) -> Other {
    let guard = alone();
    stop(PATIENCE, || ());
    start(Config { threads, memory: MEMORY }).unwrap();
    Other(guard)
}

impl Drop for Other {
    fn drop(&mut self) {
        stop(PATIENCE, || ());
        let _ = start(Config { threads: PROCESSORS, memory: MEMORY });
    }
}

/// A task that runs `work`.
fn run<R: Data>(work: impl FnOnce() -> R + Send + 'static) -> Handle<R> {
    spawn(Local::new(work), |work| Ok(work()), &SITE)
}

/// A task that runs `work`, and asks for more.
fn run_with<R: Data>(extra: Extra, work: impl FnOnce() -> R + Send + 'static) -> Handle<R> {
    spawn_with(Local::new(work), |work| Ok(work()), &SITE, extra)
}

/// A task's wish for `change`.
fn asking(change: impl FnOnce(&mut Extra)) -> Extra {
    let mut extra = Extra::default();
    change(&mut extra);
    extra
}

fn limited(timeout: Duration) -> Extra {
    asking(|extra| extra.timeout = Some(timeout))
}

/// A task that fails.
fn failing() -> Handle<u64> {
    spawn((), |()| Err(refused()), &SITE)
}

fn refused() -> Cause {
    Cause::returned("refused".into())
}

/// Waits for the task without running others here: a blocked one could be among them.
fn wait<T: Data>(handle: &Handle<T>) -> Result<&T, TaskError> {
    let (ended, end) = channel();
    handle.erase().on_end(move || ended.send(()).unwrap());
    end.recv_timeout(PATIENCE).expect("the task ends");
    handle.get()
}

fn error_of<T: Data>(handle: &Handle<T>) -> TaskError {
    wait(handle).err().expect("the task fails")
}

/// Waits until something holds that other threads bring about.
fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::yield_now();
    }
}

/// How often a test does something: less where each step is slow.
fn times(many: usize) -> usize {
    if cfg!(poniard_system_blocks) { many.div_ceil(100) } else { many }
}
