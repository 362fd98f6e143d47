//! Things to do later: one thread that sleeps until the next of them is due.
//!
//! It is started by the first use and lives as long as the process.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

type Work = Box<dyn FnOnce() + Send>;

struct Agenda {
    /// What is due, by its time; the number keeps equal times apart.
    due: BTreeMap<(Instant, u64), Work>,
    next: u64,
    thread: bool,
}

static AGENDA: Mutex<Agenda> = Mutex::new(Agenda { due: BTreeMap::new(), next: 0, thread: false });
static CHANGED: Condvar = Condvar::new();

fn lock() -> MutexGuard<'static, Agenda> {
    AGENDA.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Work that is due later, until this is dropped.
#[derive(Debug)]
#[must_use = "dropped, it takes the work off"]
pub(crate) struct Alarm((Instant, u64));

impl Drop for Alarm {
    fn drop(&mut self) {
        // The lock is let go first: the work may have the last reference to a task.
        let work = lock().due.remove(&self.0);
        drop(work);
    }
}

/// Does `work` on the timer's thread, `pause` from now. It must be short, and must not wait.
pub(crate) fn after(pause: Duration, work: Work) {
    std::mem::forget(alarm(pause, work));
}

/// Does `work` on the timer's thread, `pause` from now, unless the alarm is dropped before.
pub(crate) fn alarm(pause: Duration, work: Work) -> Alarm {
    let now = Instant::now();
    // A pause past the end of time is a century.
    let at = now.checked_add(pause).unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 86_400));
    let mut agenda = lock();
    let number = agenda.next;
    agenda.next += 1;
    agenda.due.insert((at, number), work);
    if !agenda.thread {
        let started = std::thread::Builder::new().name("poniard-timer".into()).spawn(run);
        started.expect("the system starts a thread for timeouts and back-off");
        agenda.thread = true;
    }
    drop(agenda);
    CHANGED.notify_one();
    Alarm((at, number))
}

fn run() {
    let mut agenda = lock();
    loop {
        let now = Instant::now();
        match agenda.due.first_entry() {
            Some(first) if first.key().0 <= now => {
                let work = first.remove();
                drop(agenda);
                crate::panics::contain(work);
                agenda = lock();
            }
            Some(first) => {
                let pause = first.key().0 - now;
                agenda = CHANGED.wait_timeout(agenda, pause).unwrap_or_else(PoisonError::into_inner).0;
            }
            None => agenda = CHANGED.wait(agenda).unwrap_or_else(PoisonError::into_inner),
        }
    }
}
