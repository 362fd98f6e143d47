//! Worker processes: how they start and end, and what crosses between them.

mod birth;
mod connection;
mod desk;
mod door;
mod driver;
mod engine;
mod guests;
mod handles;
mod inbox;
mod join;
mod launch;
mod leases;
mod life;
mod mail;
mod meeting;
mod post;
mod roll;
mod slurm;
mod talk;
mod trips;

pub(crate) use launch::{JOINS, MARK};
pub(crate) use life::{Origin, worker_main};
pub use meeting::Meeting;
pub(crate) use meeting::{CONNECTION, OF_SEVERAL, OWNER};
pub use roll::LaunchError;
pub(crate) use slurm::{Rank, TAKEN};

use crate::settings::Settings;
use launch::Workers;
use poniard_model::WorkerId;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// The workers that this process has started.
static WORKERS: Mutex<Option<Workers>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Workers>> {
    WORKERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts so many worker processes of this executable and waits until they have joined, and those of other servers that the
/// meeting announces. They end with [`end`], or with this process.
///
/// # Errors
/// When one cannot be started, or ends before it has joined; none is left then.
pub fn start(settings: Settings, count: usize, meeting: Option<Meeting>) -> Result<(), LaunchError> {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(|| crate::code::at_exit(end_at_exit));
    let workers = Workers::prepare(settings, count, meeting.filter(Meeting::is_new))?;
    workers.add(count)?;
    workers.wait()?;
    *lock() = Some(workers);
    Ok(())
}

/// Starts more of them. Gives their numbers.
///
/// # Errors
/// As for [`start`]; and when this process has started none.
pub fn add(count: usize) -> Result<Vec<WorkerId>, LaunchError> {
    match &*lock() {
        Some(workers) => workers.add(count),
        None => Err(LaunchError::alone()),
    }
}

/// Ends them, in order.
pub fn end() {
    let workers = lock().take();
    drop(workers);
}

extern "C" fn end_at_exit() {
    // On another thread: this one's storage is gone already, and the engine wants some. Without a thread they end with the pipe.
    if let Ok(thread) = std::thread::Builder::new().spawn(end) {
        let _ = thread.join();
    }
}
