//! What the workers do now.

use super::Cluster;
use poniard_model::WorkerId;
use poniard_runtime::{TaskCounts, WorkerStatus, directory};
use std::fmt;

/// What the workers do now. `Display` is a line for each, and one for each of those that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterStatus {
    /// This process, and then the others in the order of their numbers.
    pub workers: Vec<WorkerStatus>,
    /// Those that are gone, and what became of each.
    pub gone: Vec<(WorkerId, String)>,
}

impl Cluster {
    /// What the workers do now: each is asked, and one that does not answer within a second is told as such. What a single task
    /// waits for is told by [`AnyTask::explain`](crate::AnyTask::explain).
    ///
    /// ```
    /// use poniard::prelude::*;
    /// let cluster = Cluster::local().threads(1).start()?;
    /// spawn!(|| ()).fetch()?;
    /// let status = cluster.status();
    /// assert_eq!(status.workers[0].tasks.unwrap().done, 1);
    /// assert!(status.to_string().starts_with("w1: 1 processor on node"), "{status}");
    /// # Ok::<(), TaskError>(())
    /// ```
    pub fn status(&self) -> ClusterStatus {
        let gone = directory::lock().as_ref().map(|topology| topology.gone.clone()).unwrap_or_default();
        let others = poniard_runtime::workers::status();
        ClusterStatus { workers: [vec![WorkerStatus::here()], others].concat(), gone }
    }
}

impl fmt::Display for ClusterStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.workers.iter().map(line);
        let gone = self.gone.iter().map(|(worker, how)| format!("{worker} is gone: {how}"));
        f.write_str(&lines.chain(gone).collect::<Vec<_>>().join("\n"))
    }
}

/// A worker, in words.
fn line(worker: &WorkerStatus) -> String {
    let mut words = match worker.is_leaving {
        true => format!("{} leaves", worker.worker),
        false => place(worker),
    };
    words += &match worker.tasks {
        Some(TaskCounts { waiting, ready, running, done, failed, .. }) => {
            let ended = done + failed;
            format!(
                "; tasks: {running} run, {ready} wait for a processor, {waiting} for something else, {ended} have ended"
            )
        }
        None => "; it does not answer".to_owned(),
    };
    match worker.lost_processors {
        0 => {}
        1 => words += "; a processor is lost to a task that was cancelled and does not return",
        lost => {
            words += &format!("; {lost} processors are lost to tasks that were cancelled and do not return")
        }
    }
    match worker.ours {
        (0, _) => {}
        (ours, expected) if expected.is_zero() => words += &format!("; {ours} of this process are there"),
        (ours, expected) => {
            let seconds = expected.as_secs_f64();
            words += &format!("; {ours} of this process are there, and take about {seconds:.1} s");
        }
    }
    words
}

/// A worker with its processors, its machine and its labels.
fn place(worker: &WorkerStatus) -> String {
    let many = if worker.processors == 1 { "" } else { "s" };
    let labels = match worker.labels.as_slice() {
        [] => String::new(),
        labels => format!(" with labels {}", labels.join(", ")),
    };
    format!("{}: {} processor{many} on node `{}`{labels}", worker.worker, worker.processors, worker.node)
}
