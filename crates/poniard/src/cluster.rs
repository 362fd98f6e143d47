//! How large the runtime is: threads, labels, memory.

mod removal;
mod status;

pub use status::ClusterStatus;

use crate::checkpoints::set_folder;
use poniard_model::{Cause, TaskError, Topology, WorkerId};
use poniard_pool::Config;
use poniard_runtime::directory::lock;
use poniard_runtime::environment::{
    self, ALONE_SHARE, AMOUNT, MEMORY_SHARE, THREADS_MAX, bytes_of, cores, default_spill_folder, variable,
};
use poniard_runtime::machine::{available_memory, node};
use poniard_runtime::window;
use poniard_runtime::workers::Meeting;
use poniard_runtime::{MemoryConfig, MemoryUsage, Settings, Traffic};
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::Duration;

/// How long a cluster that ends waits for tasks that run and do not look at `cancelled`.
const PATIENCE: Duration = Duration::from_secs(5);

/// The runtime, as long as this lives: dropping it stops the threads, in order. Tasks that have not ended fail.
///
/// A program needs none: the first spawn starts a runtime by the environment, [`Cluster::from_env`]. To have another
/// size, start it before.
///
/// ```
/// use poniard::prelude::*;
/// let cluster = Cluster::local().threads(2).start()?;
/// assert_eq!(cluster.workers(), [WorkerId(1)]);
/// assert_eq!(spawn!((|x| x + 1)(1)).fetch()?, 2);
/// # Ok::<(), TaskError>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping it stops the runtime"]
pub struct Cluster(());

/// A runtime in the making.
#[derive(Clone, Debug)]
pub struct LocalCluster {
    workers: Result<usize, String>,
    threads: Result<usize, String>,
    memory: Option<Memory>,
    spill_dirs: Vec<PathBuf>,
    spill_limit: Option<Memory>,
    checkpoints: Option<PathBuf>,
    labels: Vec<String>,
    no_worker_timeout: Duration,
    cancel_grace: Duration,
    worker_timeout: Result<Duration, String>,
    respawn: u32,
    /// Whether the command `poniard status` finds it, whatever it is.
    is_shown: bool,
    /// Where workers of other servers come in.
    meeting: Result<Option<Meeting>, String>,
}

/// Bytes, or text such as `1GiB`.
#[derive(Clone, Debug)]
pub struct Memory(Result<u64, String>);

impl Cluster {
    /// A runtime in this process.
    pub fn local() -> LocalCluster {
        LocalCluster {
            workers: Ok(0),
            threads: Ok(cores()),
            memory: None,
            spill_dirs: Vec::new(),
            spill_limit: None,
            checkpoints: None,
            labels: Vec::new(),
            no_worker_timeout: NO_WORKER_TIMEOUT,
            cancel_grace: CANCEL_GRACE,
            worker_timeout: Ok(environment::WORKER_TIMEOUT),
            respawn: 0,
            is_shown: false,
            meeting: Ok(None),
        }
    }

    /// The runtime that the environment describes; what the first spawn uses.
    ///
    /// `PONIARD_THREADS`: how many tasks run at a time in each process, the number of cores unless set. `PONIARD_WORKERS`: how many
    /// more processes, none unless set. `PONIARD_LABELS`: words for
    /// [`Scope::label`](crate::Scope::label), with commas between. `PONIARD_MEMORY`, `PONIARD_SPILL_DIR` (with colons between
    /// several) and `PONIARD_SPILL_LIMIT`: as [`LocalCluster::memory`], [`LocalCluster::spill_dir`] and
    /// [`LocalCluster::spill_limit`]. `PONIARD_WORKER_TIMEOUT`: seconds, as [`LocalCluster::worker_timeout`]. `PONIARD_STATUS=1`:
    /// [`LocalCluster::shown`].
    ///
    /// What the command `poniard run` asks for comes by the environment too: `PONIARD_LISTEN` (where workers of other servers
    /// come in), `PONIARD_CONTACT` (what they call this server, if not by that address), `PONIARD_CONNECTION` (the file by which
    /// they find it), `PONIARD_JOINERS` (how many of them are waited for), `PONIARD_HOSTS` and `PONIARD_SSH` (where further workers are started, and how), `PONIARD_INSECURE`. Under Slurm's `srun`
    /// the processes of the step are the workers, and the one of rank 0 is worker 1; so it is under `mpirun`, and all messages go
    /// by MPI there if the feature `mpi` is built in.
    ///
    /// What makes no sense there is the error of [`LocalCluster::start`]. Where the first spawn starts the runtime, it is told
    /// once on the standard error, and every spawn fails with it.
    pub fn from_env() -> LocalCluster {
        let mut cluster = Cluster::local();
        cluster.threads = environment::threads();
        cluster.worker_timeout = environment::worker_timeout();
        cluster.meeting = Meeting::of_environment();
        if let Some(text) = variable("PONIARD_WORKERS") {
            let workers = text.trim().parse().ok().filter(|workers| *workers <= WORKERS_MAX);
            cluster.workers = workers.ok_or_else(|| {
                format!(
                    "PONIARD_WORKERS is `{text}`; set it to a number from 0 to {WORKERS_MAX}, or unset it to have one process"
                )
            });
        }
        cluster.is_shown = variable("PONIARD_STATUS").is_some_and(|text| text == "1");
        cluster.labels = environment::labels();
        cluster.memory = environment::memory().map(Memory);
        cluster.spill_limit = environment::spill_limit().map(Memory);
        cluster.spill_dirs = environment::spill_folders();
        cluster
    }

    /// What large results take, in memory and on disk, and what was moved between the two.
    pub fn memory_usage(&self) -> MemoryUsage {
        memory_usage()
    }

    /// How many bytes of values this process has given to other workers: as copies, as places in memory, or over connections to other
    /// hosts. Inside of a task [`traffic`](crate::traffic) tells that of its worker.
    pub fn traffic(&self) -> Traffic {
        poniard_runtime::traffic()
    }

    /// The worker processes, this one first.
    pub fn workers(&self) -> Vec<WorkerId> {
        workers()
    }

    /// Starts so many more worker processes of this program, on this machine. Gives their numbers.
    ///
    /// # Errors
    /// When one cannot be started, or ends before it has joined. Those that have joined stay.
    pub fn add_workers(&self, count: usize) -> Result<Vec<WorkerId>, TaskError> {
        let added = poniard_runtime::workers::add(count);
        added.map_err(|why| refusal(format!("cannot add {count} workers: {why}")))
    }
}

/// What large results take, in memory and on disk, and what was moved between the two.
pub fn memory_usage() -> MemoryUsage {
    poniard_runtime::memory().usage()
}

/// The worker processes, in the order of their numbers; without a runtime, this one.
pub fn workers() -> Vec<WorkerId> {
    match lock().as_ref() {
        Some(topology) => topology.workers.iter().map(|worker| worker.id).collect(),
        None => vec![poniard_pool::me()],
    }
}

impl LocalCluster {
    /// How many more processes of this same program, on this machine.
    ///
    /// They are found before `main` by the library and run what this process sends them; its `main` does not run there.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> LocalCluster {
        self.workers = Ok(workers);
        self
    }

    /// How many tasks run at a time, in each process.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> LocalCluster {
        self.threads = Ok(threads);
        self
    }

    /// How long a task waits for another worker when all that fit it are gone; a minute unless set. Then it fails.
    #[must_use]
    pub fn no_worker_timeout(mut self, limit: Duration) -> LocalCluster {
        self.no_worker_timeout = limit;
        self
    }

    /// How long a worker may be stopped or out of reach before it is lost, its process ended and its tasks run elsewhere; 15 s
    /// unless set, and at least 1 s. One whose process ends is lost at once.
    #[must_use]
    pub fn worker_timeout(mut self, limit: Duration) -> LocalCluster {
        self.worker_timeout = Ok(limit);
        self
    }

    /// How long a task that was cancelled, or whose time is over, may keep a processor of another worker: 5 s unless set. One that does
    /// not return by then ([`cancelled`](crate::cancelled) tells a function) cannot be stopped otherwise, so its worker is ended and
    /// another one started in its place, with a number of its own. What else that worker had runs elsewhere, and is not blamed; what
    /// lived there and nowhere else is lost. One that waits in the middle, or needs no processor, is left alone, and so is this process:
    /// there the processor is counted as lost in [`Cluster::status`]. [`Duration::MAX`] is for ever.
    ///
    /// A worker that joined by itself ends, and is not replaced.
    #[must_use]
    pub fn cancel_grace(mut self, grace: Duration) -> LocalCluster {
        self.cancel_grace = grace;
        self
    }

    /// Has the commands `poniard status` and `poniard task explain` find this program, which they do anyway when it has workers: it
    /// answers at a Unix socket that is this user's alone.
    #[must_use]
    pub fn shown(mut self) -> LocalCluster {
        self.is_shown = true;
        self
    }

    /// Starts another worker for each one that is lost, with a number of its own: at most so many in a minute; none unless set.
    /// When more are lost, or three in a row end before they have joined, no more are started; that is told once on the
    /// standard error, and in the errors of tasks that find no worker.
    ///
    /// ```no_run
    /// use poniard::prelude::*;
    /// let cluster = Cluster::local().workers(2).respawn(10).start()?;
    /// # Ok::<(), TaskError>(())
    /// ```
    #[must_use]
    pub fn respawn(mut self, per_minute: u32) -> LocalCluster {
        self.respawn = per_minute;
        self
    }

    /// A word for [`Scope::label`](crate::Scope::label). May be given several times.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> LocalCluster {
        self.labels.push(label.into());
        self
    }

    /// Bytes of memory for large results: a number, or text such as `1GiB`; 60 % of what the machine has available, or the
    /// control group allows, unless set.
    ///
    /// Results of 16 KiB and more count. What does not fit goes to disk while nobody uses it, and a task starts when what it
    /// reads and what it will make fit: what it declares with `memory`, or what its function made last. With nothing else
    /// running, one task is always let in.
    #[must_use]
    pub fn memory(mut self, bytes: impl Into<Memory>) -> LocalCluster {
        self.memory = Some(bytes.into());
        self
    }

    /// The directory for results that do not fit in memory. May be given several times: the next one is used when one is
    /// full. `TMPDIR`, else `/var/tmp`, unless set. A file without a name is made there when it is first needed, and goes
    /// with the process however that ends.
    #[must_use]
    pub fn spill_dir(mut self, folder: impl Into<PathBuf>) -> LocalCluster {
        self.spill_dirs.push(folder.into());
        self
    }

    /// Bytes that results may take on disk: a number, or text such as `64GiB`; what the disk has, unless set.
    #[must_use]
    pub fn spill_limit(mut self, bytes: impl Into<Memory>) -> LocalCluster {
        self.spill_limit = Some(bytes.into());
        self
    }

    /// Where results with a `checkpoint` lie between runs: a folder, or with the feature `object-store` an address such as
    /// `s3://bucket/folder`. The environment's `PONIARD_CHECKPOINTS`, else `.poniard/checkpoints` in the working directory,
    /// unless set; it is made when something is kept.
    #[must_use]
    pub fn checkpoints(mut self, folder: impl Into<PathBuf>) -> LocalCluster {
        self.checkpoints = Some(folder.into());
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When a runtime runs already: start it before the first spawn. When a setting makes no sense.
    pub fn start(self) -> Result<Cluster, TaskError> {
        self.begin().map_err(refusal)
    }

    /// Starts it; or tells in a line why not.
    fn begin(mut self) -> Result<Cluster, String> {
        let (checkpoints, is_shown) = (self.checkpoints.take(), self.is_shown);
        let Settled { config, memory, topology, workers, settings, meeting } =
            self.settle().map_err(|why| format!("cannot start the runtime: {why}"))?;
        let mut current = lock();
        if current.is_none() {
            let configured = poniard_runtime::memory().configure(memory);
            configured.map_err(|why| format!("cannot start the runtime: {why}"))?;
        }
        poniard_pool::start(config).map_err(|runs| format!("cannot start a cluster: {runs}"))?;
        if let Some(folder) = checkpoints {
            set_folder(folder);
        }
        *current = Some(Arc::new(topology));
        poniard_runtime::set_grace(settings.cancel_grace);
        poniard_pool::set_default(start_again);
        drop(current);
        started();
        let cluster = Cluster(());
        if is_shown || workers > 0 || meeting.is_some() {
            window::open();
        }
        if workers > 0 || meeting.is_some() {
            let joined = poniard_runtime::workers::start(settings, workers, meeting);
            joined.map_err(|why| match workers {
                0 => format!("cannot start a cluster of several servers: {why}"),
                _ => format!("cannot start {workers} workers: {why}"),
            })?;
        }
        Ok(cluster)
    }

    fn settle(self) -> Result<Settled, String> {
        let (threads, workers) = (self.threads?, self.workers?);
        if !(1..=THREADS_MAX).contains(&threads) {
            return Err(format!("a cluster of {threads} threads: it takes 1 to {THREADS_MAX}"));
        }
        if workers > WORKERS_MAX {
            return Err(format!(
                "a cluster of {workers} workers on one machine: it takes at most {WORKERS_MAX}"
            ));
        }
        let (meeting, worker_timeout) = (self.meeting?, self.worker_timeout?);
        if worker_timeout < WORKER_TIMEOUT_MIN {
            return Err(format!(
                "a `worker_timeout` of {worker_timeout:?}: it is at least {WORKER_TIMEOUT_MIN:?}"
            ));
        }
        let available = available_memory();
        // They share one machine.
        let here = meeting.as_ref().map_or(workers + 1, |meeting| meeting.sharers(workers)) as u64;
        let memory = match self.memory {
            Some(Memory(bytes)) => bytes?,
            None => (available as f64 * MEMORY_SHARE) as u64 / here,
        };
        let spill_limit = self.spill_limit.map_or(Ok(u64::MAX), |Memory(bytes)| bytes)?;
        let spill_folders =
            if self.spill_dirs.is_empty() { vec![default_spill_folder()] } else { self.spill_dirs };
        let topology = Topology::one_worker(threads, node(), self.labels.clone());
        let alone = (available as f64 * ALONE_SHARE) as u64;
        let settings = Settings {
            threads,
            labels: self.labels,
            budget: memory,
            alone,
            spill_folders: spill_folders.clone(),
            spill_limit,
            no_worker_timeout: self.no_worker_timeout,
            cancel_grace: self.cancel_grace,
            worker_timeout,
            respawn: self.respawn,
        };
        let config = Config { threads, memory };
        let memory = MemoryConfig { budget: memory, alone, spill_folders, spill_limit, processors: threads };
        Ok(Settled { config, memory, topology, workers, settings, meeting })
    }
}

/// A runtime that can be started.
#[derive(Debug)]
struct Settled {
    config: Config,
    memory: MemoryConfig,
    topology: Topology,
    /// How many more processes.
    workers: usize,
    /// How large each of them is.
    settings: Settings,
    meeting: Option<Meeting>,
}

/// How long a task waits for a worker when all that fit it are gone, unless told otherwise.
const NO_WORKER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a task that was cancelled may keep a processor of another worker, unless told otherwise.
const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// Less than that a busy machine takes to let a process run.
const WORKER_TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// Processes on one machine.
const WORKERS_MAX: usize = 256;

impl Drop for Cluster {
    fn drop(&mut self) {
        window::close();
        poniard_runtime::workers::end();
        // Locked from before the pool stops: nobody starts another one in between.
        let mut topology = lock();
        poniard_pool::stop(PATIENCE, move || {
            *topology = None;
            drop(topology);
        });
    }
}

/// Whether there is one worker process.
pub(crate) fn is_alone() -> bool {
    lock().as_ref().is_none_or(|topology| topology.workers.len() == 1)
}

/// The processors of the runtime, which is started if none runs; or why it cannot be.
pub(crate) fn topology() -> Result<Arc<Topology>, String> {
    if let Some(topology) = lock().clone() {
        return Ok(topology);
    }
    ensure()?;
    Ok(lock().clone().expect("a runtime that was started has processors"))
}

/// Starts the runtime that the environment describes, if none runs; or tells why it cannot, once to the user too: a program
/// that only waits for its tasks would end as if all were well.
#[cold]
pub(crate) fn ensure() -> Result<(), String> {
    static TOLD: Once = Once::new();
    if lock().is_some() {
        return Ok(());
    }
    match Cluster::from_env().begin() {
        // It lives until the process ends.
        Ok(cluster) => std::mem::forget(cluster),
        // Another thread was faster.
        Err(_) if lock().is_some() => {}
        Err(reason) => {
            TOLD.call_once(|| eprintln!("{reason}"));
            return Err(reason);
        }
    }
    Ok(())
}

/// Starts a runtime for the pool, which has tasks after a cluster has ended. Nobody is there to return an error to, and the
/// tasks are not to wait for ever: where the environment makes no sense, the runtime has a thread for each core.
#[cold]
fn start_again() {
    if ensure().is_err()
        && let Ok(cluster) = Cluster::local().begin()
    {
        std::mem::forget(cluster);
    }
}

/// What is done once a runtime has started.
fn started() {
    #[cfg(feature = "signal")]
    crate::signal::watch();
}

/// The error of a runtime that cannot start.
pub(crate) fn refusal(reason: String) -> TaskError {
    TaskError::without_task(Cause::scheduling(reason))
}

impl From<u64> for Memory {
    fn from(bytes: u64) -> Memory {
        Memory(Ok(bytes))
    }
}

impl From<&str> for Memory {
    fn from(text: &str) -> Memory {
        Memory(bytes_of(text).ok_or_else(|| format!("`{text}` is no amount of memory: it is {AMOUNT}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_makes_no_sense_is_refused_in_words() {
        let refused = |cluster: LocalCluster| cluster.settle().unwrap_err();
        assert_eq!(refused(Cluster::local().threads(0)), "a cluster of 0 threads: it takes 1 to 256");
        assert!(refused(Cluster::local().memory("1 gig")).starts_with("`1 gig` is no amount of memory"));
    }
}
