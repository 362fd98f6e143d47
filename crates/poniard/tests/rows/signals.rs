//! What tests wait for: events, never time. Every wait has a limit, so that a broken law fails and does not hang.

use poniard::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How long a wait for an event lasts that must happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A task that runs until it is opened.
pub(crate) struct Gate {
    pub(crate) task: DTask<Pinned<()>>,
    open: Sender<()>,
}

impl Gate {
    /// It runs already when this returns, and holds a processor.
    pub(crate) fn running() -> Gate {
        Gate::with(Options::new().name("gate"))
    }

    /// It runs already when this returns, and holds nothing.
    pub(crate) fn aside() -> Gate {
        Gate::with(Options::new().name("gate").occupancy(0))
    }

    pub(crate) fn with(options: Options) -> Gate {
        let (started, runs) = channel();
        let (open, opened) = channel::<()>();
        let work = move || {
            started.send(()).expect("the test waits for the gate");
            let _ = opened.recv_timeout(LIMIT);
        };
        let task = with_options(options, || spawn!(move || work()));
        runs.recv_timeout(LIMIT).expect("the gate's task starts");
        Gate { task, open }
    }

    /// Lets the task end.
    pub(crate) fn open(&self) {
        let _ = self.open.send(());
    }
}

/// A place where a number of threads meet; it may be passed to tasks.
#[derive(Clone)]
pub(crate) struct Meeting(Arc<(Mutex<usize>, Condvar)>, usize);

impl Meeting {
    pub(crate) fn of(members: usize) -> Meeting {
        Meeting(Arc::default(), members)
    }

    /// Waits for all members; false when they do not come.
    pub(crate) fn meet(&self) -> bool {
        let Meeting(shared, members) = self;
        let mut here = shared.0.lock().unwrap();
        *here += 1;
        shared.1.notify_all();
        let (here, _) = shared.1.wait_timeout_while(here, LIMIT, |here| *here < *members).unwrap();
        *here >= *members
    }
}

/// How much there was at most at a time.
#[derive(Clone, Default)]
pub(crate) struct Peak(Arc<(AtomicUsize, AtomicUsize)>);

impl Peak {
    /// Calls `work` while `amount` counts.
    pub(crate) fn while_held<R>(&self, amount: usize, work: impl FnOnce() -> R) -> R {
        let now = self.0.0.fetch_add(amount, Ordering::SeqCst) + amount;
        self.0.1.fetch_max(now, Ordering::SeqCst);
        let value = work();
        self.0.0.fetch_sub(amount, Ordering::SeqCst);
        value
    }

    pub(crate) fn reached(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn note(&self, what: impl ToString) {
        self.0.lock().unwrap().push(what.to_string());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Different things that were seen.
#[derive(Clone)]
pub(crate) struct Seen<T>(Arc<Mutex<BTreeSet<T>>>);

impl<T: Ord + Clone> Seen<T> {
    pub(crate) fn nothing() -> Seen<T> {
        Seen(Arc::new(Mutex::new(BTreeSet::new())))
    }

    pub(crate) fn add(&self, thing: T) {
        self.0.lock().unwrap().insert(thing);
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.0.lock().unwrap().iter().cloned().collect()
    }
}

/// Gives other threads a chance to overlap.
pub(crate) fn linger() {
    (0..50).for_each(|_| std::thread::yield_now());
}

/// Waits until `true_at_last` is true, without a task.
pub(crate) fn eventually(true_at_last: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + LIMIT;
    while !true_at_last() {
        assert!(std::time::Instant::now() < deadline, "it did not happen within {LIMIT:?}");
        std::thread::yield_now();
    }
}
