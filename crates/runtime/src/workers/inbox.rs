//! The driver's thread, and what it is told by others.

use super::driver::{Core, Input, STOPPED, not_fetched};
use super::handles::stopped;
use super::lines::Told;
use crate::budget::{Far, set_far};
use crate::directory;
use poniard_model::{Cause, TaskId};
use poniard_pool::travel::{Away, Carrier, Wakes, set_carrier, tell_idle};
use poniard_store::{Arena, Backing};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What waits for the driver.
#[derive(Debug, Default)]
struct Inbox {
    inputs: VecDeque<Input>,
    /// The thread; `None` while there is no cluster.
    thread: Option<JoinHandle<()>>,
    /// It sleeps, and nobody has woken it: a wake is a call of the kernel, and most of what is told finds it awake.
    is_asleep: bool,
    is_ending: bool,
}

/// How long a thread waits to be woken while the driver goes on with the inputs of a round, so that one wake serves for many.
const WAKES_LATE: Duration = Duration::from_micros(100);

static INBOX: (Mutex<Option<Inbox>>, Condvar) = (Mutex::new(None), Condvar::new());

fn lock() -> MutexGuard<'static, Option<Inbox>> {
    INBOX.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether there is no cluster, or it ends.
fn is_over() -> bool {
    lock().as_ref().is_none_or(|inbox| inbox.is_ending)
}

/// Starts the driver.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn start(core: Core) -> std::io::Result<()> {
    set_carrier(&Border);
    set_far(Far {
        fetch: |chunk| tell(Input::Fetch(TaskId(chunk.0))),
        release: |chunk| tell(Input::Released(TaskId(chunk.0))),
        why_out_of_reach: || is_over().then_some(STOPPED),
    });
    let is_one_host = !core.has_lines();
    let mut inbox = lock();
    debug_assert!(inbox.is_none(), "there is one cluster at a time");
    *inbox = Some(Inbox::default());
    let thread = std::thread::Builder::new().name("driver".to_owned()).spawn(move || drive(core));
    match thread {
        Ok(thread) => inbox.get_or_insert_default().thread = Some(thread),
        Err(error) => {
            *inbox = None;
            return Err(error);
        }
    }
    drop(inbox);
    // So that the others can read blocks where they are. Where there are other hosts they may all be there, and huge pages are better.
    if is_one_host {
        Arena::global().set_backing(Backing::Memfd);
    }
    tell_idle();
    Ok(())
}

/// Ends the driver: what was to come home fails.
pub(crate) fn stop() {
    let thread = lock().as_mut().and_then(|inbox| {
        inbox.is_ending = true;
        inbox.thread.take()
    });
    INBOX.1.notify_one();
    if let Some(thread) = thread {
        thread.join().expect("the driver does not panic");
    }
    Arena::global().set_backing(Backing::Anonymous);
    let left = lock().take();
    left.into_iter().flat_map(|inbox| inbox.inputs).for_each(refuse);
}

/// Tells the driver.
pub(crate) fn tell(input: Input) {
    let mut inbox = lock();
    match inbox.as_mut().filter(|inbox| !inbox.is_ending) {
        Some(open) => {
            open.inputs.push_back(input);
            let was_asleep = std::mem::take(&mut open.is_asleep);
            drop(inbox);
            if was_asleep {
                INBOX.1.notify_one();
            }
        }
        None => {
            drop(inbox);
            refuse(input);
        }
    }
}

/// Tells the driver of a line.
pub(crate) fn tell_of_line(told: Told) {
    tell(Input::Line(told));
}

/// Nobody is there to be told.
fn refuse(input: Input) {
    let away = match input {
        Input::Leaves(away) => away,
        Input::Wants { end, .. } => return end.end(Err(stopped())),
        Input::Fetch(task) => return not_fetched(task),
        _ => return,
    };
    if away.scope().is_none() {
        return away.stay_for_good();
    }
    let topology = directory::lock().clone().unwrap_or_default();
    let why = away.scope().and_then(|scope| scope.why_empty(&topology));
    let why = why.unwrap_or_else(|| "cannot run: the cluster was stopped".to_owned());
    away.fail_for_good(poniard_pool::me(), Cause::scheduling(why));
}

fn drive(mut core: Core) {
    let mut inputs = VecDeque::new();
    let wakes = Wakes::gather();
    loop {
        for input in inputs.drain(..) {
            core.on(input);
            wakes.wake_after(WAKES_LATE);
        }
        wakes.wake_all();
        core.on_time();
        core.deliver();
        // Before this thread sleeps: tasks end in these as well.
        wakes.wake_all();
        let mut inbox = lock();
        loop {
            let Some(open) = inbox.as_mut().filter(|open| !open.is_ending) else {
                drop(inbox);
                return core.end();
            };
            if !open.inputs.is_empty() {
                std::mem::swap(&mut inputs, &mut open.inputs);
                break;
            }
            let rest = core.rest();
            if rest.is_some_and(|rest| rest.is_zero()) {
                break;
            }
            open.is_asleep = true;
            inbox = match rest {
                None => INBOX.1.wait(inbox).unwrap_or_else(PoisonError::into_inner),
                Some(rest) => INBOX.1.wait_timeout(inbox, rest).unwrap_or_else(PoisonError::into_inner).0,
            };
            inbox.as_mut().into_iter().for_each(|inbox| inbox.is_asleep = false);
        }
    }
}

/// Where tasks leave this process.
struct Border;

impl Carrier for Border {
    fn carry(&self, away: Away) {
        tell(Input::Leaves(away));
    }

    fn idle(&self, processors: u32) {
        tell(Input::Idle(processors));
    }

    fn have_work(&self) {
        tell(Input::HasWork);
    }
}
