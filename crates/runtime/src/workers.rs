//! Worker processes: how they start and end, and what crosses between them.

mod asking;
mod birth;
mod connection;
mod departure;
mod desk;
mod door;
mod driver;
mod engine;
mod guests;
mod handles;
mod inbox;
#[cfg(feature = "mpi")]
mod job;
#[cfg(not(feature = "mpi"))]
#[path = "workers/job_absent.rs"]
mod job;
mod join;
mod launch;
mod leases;
mod life;
mod lines;
mod mail;
mod meeting;
mod post;
mod process;
mod rank;
mod reception;
mod removal;
mod respawn;
mod results;
mod roll;
mod talk;
mod trips;

pub use asking::explain;
pub(crate) use job::{enter as enter_job, is_in as is_in_job};
pub(crate) use life::{Origin, worker_main};
pub use meeting::Meeting;
pub(crate) use meeting::{CONNECTION, OF_SEVERAL, OWNER};
pub(crate) use process::{JOINS, MARK};
pub(crate) use rank::{Rank, TAKEN};
pub use roll::LaunchError;

use crate::settings::Settings;
use crate::status::WorkerStatus;
use launch::Workers;
use poniard_model::WorkerId;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

/// The workers that this process has started.
static WORKERS: Mutex<Option<Arc<Workers>>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Arc<Workers>>> {
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
    *lock() = Some(workers.clone());
    let joined = workers.add(count).and_then(|_| workers.wait());
    if joined.is_err() {
        end();
    }
    joined
}

/// Starts more of them. Gives their numbers.
///
/// # Errors
/// As for [`start`]; and when this process has started none.
pub fn add(count: usize) -> Result<Vec<WorkerId>, LaunchError> {
    current()?.add(count)
}

/// Has one leave: it gets no more tasks, and its process ends when those that it has have ended. Waits for that.
///
/// # Errors
/// When there is no such worker, it ends otherwise, or not within the limit; it leaves all the same then.
pub fn remove(worker: WorkerId, limit: Duration) -> Result<(), LaunchError> {
    current()?.remove(worker, limit)
}

/// The other workers, and what they do now.
pub fn status() -> Vec<WorkerStatus> {
    let told = asking::peers().into_iter().map(|(peer, doing)| {
        let ours = (peer.tasks, peer.committed);
        let is_leaving = peer.is_leaving;
        WorkerStatus { ours, is_leaving, ..WorkerStatus::of(peer.life.worker, doing) }
    });
    told.collect()
}

/// Those that there are. Nobody waits for them with the lock held.
fn current() -> Result<Arc<Workers>, LaunchError> {
    lock().clone().ok_or_else(LaunchError::alone)
}

/// Ends them, in order.
pub fn end() {
    let workers = lock().take();
    workers.inspect(|workers| workers.end());
}

extern "C" fn end_at_exit() {
    // On another thread: this one's storage is gone already, and the engine wants some. Without a thread they end with the pipe.
    if let Ok(thread) = std::thread::Builder::new().spawn(end) {
        let _ = thread.join();
    }
}
