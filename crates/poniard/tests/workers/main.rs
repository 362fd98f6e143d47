//! The acceptance tests of worker processes. As in `tests/rows`, a test whose name begins with a row's id shows that row of the
//! list of features.
//!
//! Every test has a process of its own, which starts the workers: the cluster belongs to the process.
#![forbid(unsafe_code)]
// The tests write what users write.
#![allow(clippy::cloned_ref_to_slice_refs, clippy::ptr_arg, clippy::needless_question_mark)]

#[path = "../rows/alone.rs"]
#[allow(dead_code, reason = "shared with the other binaries")]
mod alone;
mod blocks;
mod data;
mod ends;
mod faults;
mod handles;
mod lasting;
mod leaving;
mod lost;
mod mutables;
mod on;
mod running;
mod scarce;
mod scopes;
mod shapes;
mod shards;
mod sharing;
mod status;
mod stuck;

use alone::alone;
use poniard::prelude::*;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a wait for something lasts that must happen.
const LIMIT: Duration = Duration::from_secs(30);

/// How long tasks wait for a worker to come that fits them.
const PATIENCE: Duration = Duration::from_millis(300);

/// A cluster of this process and so many more.
fn cluster(workers: usize) -> Cluster {
    Cluster::local().workers(workers).threads(2).no_worker_timeout(PATIENCE).start().unwrap()
}

/// The process of a worker.
fn process_of(worker: u32) -> u32 {
    spawn!(std::process::id(), scope = Scope::worker(worker)).fetch().unwrap()
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LIMIT, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// Whether a process is there that runs.
fn is_alive(process: u32) -> bool {
    // A process that has ended and was not waited for is a zombie.
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// Sends a signal to a process that this test has started.
fn signal(signal: &str, process: u32) {
    signal_all(signal, &[process]);
}

/// Sends it to several at once: nothing that ran in one of them begins in another of them meanwhile.
fn signal_all(signal: &str, processes: &[u32]) {
    let processes = processes.iter().map(u32::to_string);
    let sent = std::process::Command::new("kill").arg(signal).args(processes.clone()).status();
    assert!(sent.unwrap().success(), "kill {signal} {:?}", processes.collect::<Vec<_>>());
}

/// Waits, in a task, until the test makes a file.
fn wait_for(file: &str) {
    until("the test makes a file", || Path::new(file).exists());
}
