//! Workers that go while the program runs.

use super::{Cluster, refusal};
use poniard_model::{TaskError, WorkerId};
use std::time::Duration;

/// How long a worker that is removed may take to end its tasks, unless told otherwise.
const DRAINING: Duration = Duration::from_secs(300);

impl Cluster {
    /// Removes a worker: it gets no more tasks, those that run there end and their results come home, those that wait there run
    /// elsewhere, and then its process ends. Waits for that, five minutes at most. Its number is not given again.
    ///
    /// A task that may run on this worker alone stays if it was there already; one that becomes ready later fails, as with
    /// a worker that was lost ([`LocalCluster::no_worker_timeout`](crate::LocalCluster::no_worker_timeout)).
    ///
    /// A worker on which a [`Mutable`](crate::Mutable) or a piece of a [`Shard`](crate::Shard) lives is not removed while others have
    /// handles of it: the value would be lost.
    ///
    /// ```no_run
    /// use poniard::prelude::*;
    /// let cluster = Cluster::local().workers(2).start()?;
    /// cluster.remove_worker(3)?;
    /// assert_eq!(cluster.workers(), [WorkerId(1), WorkerId(2)]);
    /// # Ok::<(), TaskError>(())
    /// ```
    ///
    /// # Errors
    /// When it is this process, there is no such worker, or there is none any more; when it is lost before it has left; when its
    /// tasks take longer. Then it leaves all the same, and may be removed once more in order to wait on. When data live there of which
    /// others have handles: then it stays.
    pub fn remove_worker(&self, worker: impl Into<WorkerId>) -> Result<(), TaskError> {
        self.remove_worker_within(worker, DRAINING)
    }

    /// As [`Cluster::remove_worker`], and waits no longer than this.
    ///
    /// # Errors
    /// As for [`Cluster::remove_worker`].
    pub fn remove_worker_within(
        &self,
        worker: impl Into<WorkerId>,
        limit: Duration,
    ) -> Result<(), TaskError> {
        let worker = worker.into();
        if worker == poniard_pool::me() {
            let why = "it is this process; drop the cluster to end it";
            return Err(refusal(format!("cannot remove {worker}: {why}")));
        }
        let removed = poniard_runtime::workers::remove(worker, limit);
        removed.map_err(|why| refusal(format!("cannot remove {worker}: {why}")))
    }
}
