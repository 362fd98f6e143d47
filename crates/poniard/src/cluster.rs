//! How large the runtime is: threads, labels, memory.

use poniard_model::{Cause, TaskError, Topology, WorkerId};
use poniard_pool::Config;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

/// How long a cluster that ends waits for tasks that run and do not look at `cancelled`.
const PATIENCE: Duration = Duration::from_secs(5);
/// The share of the machine's memory that tasks may declare together, unless told otherwise.
const MEMORY_SHARE: f64 = 0.6;

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
    threads: Result<usize, String>,
    memory: Option<Memory>,
    labels: Vec<String>,
}

/// Bytes, or text such as `1GiB`.
#[derive(Clone, Debug)]
pub struct Memory(Result<u64, String>);

impl Cluster {
    /// A runtime in this process.
    pub fn local() -> LocalCluster {
        LocalCluster { threads: Ok(cores()), memory: None, labels: Vec::new() }
    }

    /// The runtime that the environment describes; what the first spawn uses.
    ///
    /// `PONIARD_THREADS`: how many tasks run at a time, the number of cores unless set. `PONIARD_LABELS`: words for
    /// [`Scope::label`](crate::Scope::label), with commas between. `PONIARD_MEMORY`: what tasks may declare with
    /// `memory`, such as `8GiB`.
    ///
    /// What makes no sense there is the error of [`LocalCluster::start`]. Where the first spawn starts the runtime, it is told
    /// once on the standard error, and every spawn fails with it.
    pub fn from_env() -> LocalCluster {
        let mut cluster = Cluster::local();
        if let Some(text) = variable("PONIARD_THREADS") {
            let threads = text.trim().parse().ok().filter(|threads| (1..=THREADS_MAX).contains(threads));
            cluster.threads = threads.ok_or_else(|| {
                let meant = format!("a number from 1 to {THREADS_MAX}");
                format!(
                    "PONIARD_THREADS is `{text}`; set it to {meant}, or unset it to have one for each core"
                )
            });
        }
        if let Some(labels) = variable("PONIARD_LABELS") {
            let words = labels.split(',').map(str::trim).filter(|word| !word.is_empty());
            cluster.labels = words.map(str::to_owned).collect();
        }
        if let Some(text) = variable("PONIARD_MEMORY") {
            let bytes = parse(&text).ok_or_else(|| {
                format!("PONIARD_MEMORY is `{text}`; set it to {AMOUNT}, or unset it to have a share of the machine's")
            });
            cluster.memory = Some(Memory(bytes));
        }
        cluster
    }

    /// The worker processes: this one.
    pub fn workers(&self) -> Vec<WorkerId> {
        workers()
    }
}

/// The worker processes: this one.
pub fn workers() -> Vec<WorkerId> {
    vec![WorkerId::FIRST]
}

impl LocalCluster {
    /// How many tasks run at a time.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> LocalCluster {
        self.threads = Ok(threads);
        self
    }

    /// A word for [`Scope::label`](crate::Scope::label). May be given several times.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> LocalCluster {
        self.labels.push(label.into());
        self
    }

    /// Bytes that running tasks may declare together with the option `memory`: a number, or text such as `1GiB`.
    /// 60 % of the machine's (or the cgroup's) memory, unless set.
    #[must_use]
    pub fn memory(mut self, bytes: impl Into<Memory>) -> LocalCluster {
        self.memory = Some(bytes.into());
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
    fn begin(self) -> Result<Cluster, String> {
        let (config, topology) = self.settle().map_err(|why| format!("cannot start the runtime: {why}"))?;
        let mut current = lock();
        poniard_pool::start(config).map_err(|runs| format!("cannot start a cluster: {runs}"))?;
        *current = Some(Arc::new(topology));
        poniard_pool::set_default(start_again);
        drop(current);
        started();
        Ok(Cluster(()))
    }

    fn settle(self) -> Result<(Config, Topology), String> {
        let threads = self.threads?;
        if !(1..=THREADS_MAX).contains(&threads) {
            return Err(format!("a cluster of {threads} threads: it takes 1 to {THREADS_MAX}"));
        }
        let memory = match self.memory {
            Some(Memory(bytes)) => bytes?,
            None => (machine_memory() as f64 * MEMORY_SHARE) as u64,
        };
        let node =
            std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "localhost".into());
        let topology = Topology::one_worker(threads, node.trim().to_owned(), self.labels);
        Ok((Config { threads, memory }, topology))
    }
}

/// Processors of one process.
const THREADS_MAX: usize = 256;

impl Drop for Cluster {
    fn drop(&mut self) {
        poniard_pool::stop(PATIENCE);
        *lock() = None;
    }
}

static TOPOLOGY: Mutex<Option<Arc<Topology>>> = Mutex::new(None);

fn lock() -> std::sync::MutexGuard<'static, Option<Arc<Topology>>> {
    TOPOLOGY.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A variable of the environment; what is no text in it is shown as `\u{fffd}`, and makes no sense to anybody.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX)
}

/// The smaller of the machine's memory and the cgroup's limit, in bytes.
fn machine_memory() -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes =
        |line: &str| line.strip_prefix("MemAvailable:")?.trim().strip_suffix("kB")?.trim().parse().ok();
    let available = meminfo.lines().find_map(kilobytes).map_or(u64::MAX, |kilobytes: u64| kilobytes << 10);
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = |file: &&str| std::fs::read_to_string(file).ok()?.trim().parse().ok();
    limits.iter().filter_map(limit).fold(available, u64::min)
}

impl From<u64> for Memory {
    fn from(bytes: u64) -> Memory {
        Memory(Ok(bytes))
    }
}

impl From<&str> for Memory {
    fn from(text: &str) -> Memory {
        Memory(parse(text).ok_or_else(|| format!("`{text}` is no amount of memory: it is {AMOUNT}")))
    }
}

/// What [`parse`] takes.
const AMOUNT: &str = "a number of bytes, or one with KiB, MiB, GiB or TiB";

fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * (1u64 << shift) as f64;
    (bytes < u64::MAX as f64).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_with_its_unit() {
        assert_eq!(parse("1GiB"), Some(1 << 30));
        assert_eq!(parse(" 1.5 KiB "), Some(1536));
        assert_eq!(parse("12"), Some(12));
        assert_eq!(parse("12 GB"), None);
        assert_eq!(parse("much"), None);
    }

    #[test]
    fn a_setting_that_makes_no_sense_is_refused_in_words() {
        let refused = |cluster: LocalCluster| cluster.settle().unwrap_err();
        assert_eq!(refused(Cluster::local().threads(0)), "a cluster of 0 threads: it takes 1 to 256");
        assert!(refused(Cluster::local().memory("1 gig")).starts_with("`1 gig` is no amount of memory"));
    }
}
