//! Starts a test again as the ranks of a job.

use crate::mpi::Job;
use std::env::{current_exe, var_os};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Says to a process that it is a rank of this test.
const TEST: &str = "PONIARD_TEST_RANKS_OF";
/// No test lasts so long, on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(150);
/// How long a rank that has ended waits for the others.
const PARTING: Duration = Duration::from_secs(60);

/// Runs a test, named by its path, in so many ranks; or says that it cannot.
pub(super) fn in_ranks(count: usize, test: &str, play: impl FnOnce(Arc<Job>)) {
    let (_, test) = test.split_once("::").expect("the crate is the first part");
    if var_os(TEST).is_some_and(|name| name == test) {
        let job = Arc::new(Job::join().expect("MPI can be initialised"));
        assert_eq!(job.size(), count);
        play(job.clone());
        return job.finish(PARTING).expect("the others end as well");
    }
    let version =
        Command::new("mpirun").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        return println!("SKIP {test}: mpirun is not installed (apt-get install openmpi-bin)");
    }
    // One job at a time: each has more processes than most machines have processors.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "--allow-run-as-root", "-n", &count.to_string()]);
    command.arg(current_exe().expect("a process has an executable"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(TEST, test);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut job = command.spawn().expect("mpirun can be started");
    let output = [read(job.stdout.take()), read(job.stderr.take())];
    let ended = wait(&mut job);
    let [said, complained] = output.map(|reader| reader.join().expect("a reader does not panic"));
    assert!(ended, "{test} has not ended within {LIMIT:?}, or badly:\n{said}\n{complained}");
    // What ranks write comes through in parts.
    let passed = said.matches("1 passed;").count();
    assert_eq!(passed, count, "{said}\n{complained}");
}

/// Waits for the end of a job; gives whether it was a good one.
fn wait(job: &mut Child) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < LIMIT {
        if let Some(status) = job.try_wait().expect("a child can be waited for") {
            return status.success();
        }
        thread::sleep(Duration::from_millis(10));
    }
    // It ends its ranks when it is asked to, and not when it is killed.
    let asked = Command::new("kill").arg(job.id().to_string()).status();
    assert!(asked.is_ok_and(|status| status.success()), "there is a kill");
    job.wait().expect("a child can be waited for");
    false
}

fn read(stream: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.expect("it was asked for").read_to_end(&mut bytes).expect("it can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Sends a signal to a process of this test.
pub(super) fn signal(signal: &str, process: u32) {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill {signal} {process}");
}

/// What this process has used of the processors so far.
pub(super) fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("it is there");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("there is a last part").split(' ').collect();
    // In hundredths of a second, whatever the kernel counts in: in the program and in the kernel for it.
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("it is a number")).sum();
    Duration::from_millis(10 * ticks)
}
