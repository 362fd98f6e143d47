//! Switches recording on and off, and keeps what is recorded.
//!
//! Each thread writes to a buffer of its own, so recording threads do not meet; the reader takes all
//! buffers at the end and sorts them by time.

use crate::event::{Event, Record};
use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Events kept for one recording and thread: 2^20 of them are about 64 MiB; more are only counted.
const EVENTS_PER_THREAD_MAX: usize = 1 << 20;

/// Whether events are kept. Relaxed: a thread may notice a switch a moment late.
static ON: AtomicBool = AtomicBool::new(false);
/// Tells one recording from the next, so that a thread notices that its buffer is of an earlier one.
static EPOCH: AtomicU64 = AtomicU64::new(0);
static STATE: Mutex<State> = Mutex::new(State { began: None, buffers: Vec::new() });

struct State {
    began: Option<Instant>,
    buffers: Vec<Arc<Mutex<Buffer>>>,
}

#[derive(Default)]
struct Buffer {
    events: Vec<(Instant, Event)>,
    lost: u64,
}

thread_local! {
    static MINE: RefCell<Option<(u64, Arc<Mutex<Buffer>>)>> = const { RefCell::new(None) };
}

/// Whether a recording runs.
#[inline(always)]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Keeps an event, if a recording runs; `event` is not called otherwise.
#[inline(always)]
pub fn note(event: impl FnOnce() -> Event) {
    if is_on() {
        keep(event());
    }
}

#[cold]
#[inline(never)]
fn keep(event: Event) {
    let now = Instant::now();
    // A thread that is ending has no buffer any more; its last events are not worth a panic.
    let _ = MINE.try_with(|mine| {
        let mut mine = mine.borrow_mut();
        let epoch = EPOCH.load(Ordering::Acquire);
        if mine.as_ref().is_none_or(|(of, _)| *of != epoch) {
            *mine = Some((epoch, new_buffer()));
        }
        let (_, buffer) = mine.as_ref().expect("was made just now");
        let mut buffer = buffer.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.events.len() < EVENTS_PER_THREAD_MAX {
            buffer.events.push((now, event));
        } else {
            buffer.lost += 1;
        }
    });
}

fn new_buffer() -> Arc<Mutex<Buffer>> {
    let buffer = Arc::new(Mutex::new(Buffer::default()));
    lock().buffers.push(buffer.clone());
    buffer
}

fn lock() -> std::sync::MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A recording that runs until [`Recording::finish`], or until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the recording"]
pub struct Recording(());

/// Another recording runs already; there is one at a time in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingRuns;

/// What a recording kept.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The events, in the order of time.
    pub events: Vec<Record>,
    /// Events that were not kept, because a thread had more than 2^20 of them.
    pub lost: u64,
}

impl Recording {
    /// Begins to keep events.
    ///
    /// # Errors
    /// When a recording runs already.
    pub fn start() -> Result<Recording, RecordingRuns> {
        let mut state = lock();
        if state.began.is_some() {
            return Err(RecordingRuns);
        }
        state.began = Some(Instant::now());
        state.buffers.clear();
        // Release: pairs with the Acquire in `keep`; a thread that sees the new epoch makes a new buffer.
        EPOCH.fetch_add(1, Ordering::Release);
        ON.store(true, Ordering::Relaxed);
        Ok(Recording(()))
    }

    /// Ends the recording and gives what was kept.
    pub fn finish(self) -> Recorded {
        let recorded = end();
        std::mem::forget(self);
        recorded
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        end();
    }
}

fn end() -> Recorded {
    ON.store(false, Ordering::Relaxed);
    let mut state = lock();
    let began = state.began.take().unwrap_or_else(Instant::now);
    let buffers = std::mem::take(&mut state.buffers);
    drop(state);
    let mut recorded = Recorded::default();
    for buffer in buffers {
        let buffer = std::mem::take(&mut *buffer.lock().unwrap_or_else(PoisonError::into_inner));
        recorded.lost += buffer.lost;
        let stamped =
            |(at, event): (Instant, Event)| Record { at: at.saturating_duration_since(began), event };
        recorded.events.extend(buffer.events.into_iter().map(stamped));
    }
    recorded.events.sort_by_key(|record| record.at);
    recorded
}

impl fmt::Display for RecordingRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot start a recording: one runs already in this process; finish it first")
    }
}

impl std::error::Error for RecordingRuns {}

#[cfg(test)]
mod tests {
    use super::*;
    use poniard_model::TaskId;

    #[test]
    fn events_are_kept_only_while_a_recording_runs() {
        let input = |n| Event::Input { task: TaskId(n), of: TaskId(0) };
        note(|| unreachable!("no recording runs"));
        let recording = Recording::start().unwrap();
        assert_eq!(Recording::start().unwrap_err(), RecordingRuns);
        note(|| input(1));
        std::thread::scope(|scope| {
            scope.spawn(|| note(|| input(2)));
        });
        let kept: Vec<Event> = recording.finish().events.iter().map(|record| record.event).collect();
        assert_eq!(kept, [input(1), input(2)]);
        note(|| unreachable!("the recording has ended"));
        let second = Recording::start().unwrap();
        note(|| input(3));
        assert_eq!(second.finish().events.len(), 1, "an earlier recording leaves nothing behind");
    }
}
