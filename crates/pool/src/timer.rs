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

/// Does `work` on the timer's thread, `pause` from now. It must be short, and must not wait.
pub(crate) fn after(pause: Duration, work: Work) {
    let now = Instant::now();
    // A pause past the end of time is a century.
    let at = now.checked_add(pause).unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 86_400));
    let mut agenda = lock();
    let number = agenda.next;
    agenda.next += 1;
    agenda.due.insert((at, number), work);
    if !agenda.thread {
        agenda.thread = true;
        let started = std::thread::Builder::new().name("poniard-timer".into()).spawn(run);
        started.expect("the system starts a thread for timeouts and back-off");
    }
    drop(agenda);
    CHANGED.notify_one();
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
