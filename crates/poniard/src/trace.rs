//! What happened: recording the events of tasks.

use poniard_model::{Cause, TaskError};
pub use poniard_trace::{Event, Outcome, Record, Recorded};

/// Calls `work` and keeps the events of all tasks meanwhile. Gives what `work` returned, and the events in the order of
/// time.
///
/// ```
/// use poniard::prelude::*;
/// let (sum, recorded) = poniard::trace::record(|| spawn!((|x| x + 1)(1)).fetch())?;
/// assert_eq!(sum?, 2);
/// assert!(recorded.events.len() >= 3); // spawned, started, finished
/// # Ok::<(), TaskError>(())
/// ```
///
/// # Errors
/// When a recording runs already: there is one at a time in a process.
pub fn record<R>(work: impl FnOnce() -> R) -> Result<(R, Recorded), TaskError> {
    let recording = poniard_trace::Recording::start()
        .map_err(|runs| TaskError::without_task(Cause::scheduling(runs.to_string())))?;
    let value = work();
    Ok((value, recording.finish()))
}
