//! Runs a test in a process of its own: the runtime belongs to the process, and so does its number of threads.

use std::io::{Read, pipe};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// How long a test may take: far longer than any does on a busy machine.
const LIMIT: Duration = Duration::from_secs(100);
/// Without workers whatever the environment says: for what counts in the memory of one process, and for pieces of a shard on one
/// worker. The same rows on several workers are in `tests/workers`.
pub(crate) const ONE_PROCESS: (&str, &str) = ("PONIARD_WORKERS", "0");
/// Tells the process that it is the test's own.
const MARK: &str = "PONIARD_ALONE";

/// Runs `test` in a process with `threads` processors.
pub(crate) fn alone<F: FnOnce()>(threads: usize, test: F) {
    alone_with(threads, &[], test);
}

/// Runs `test` in a process with `threads` processors and more in its environment.
pub(crate) fn alone_with<F: FnOnce()>(threads: usize, environment: &[(&str, &str)], test: F) {
    if std::env::var_os(MARK).is_some() {
        end_with_the_parent();
        return test();
    }
    let name = test_of::<F>();
    let (mut output, writer) = pipe().expect("the system gives a pipe");
    let mut command = Command::new(std::env::current_exe().expect("a process has an executable"));
    command.args([name, "--exact", "--nocapture"]).env(MARK, "1").env("PONIARD_THREADS", threads.to_string());
    command.envs(environment.iter().copied()).stdin(Stdio::piped());
    command.stdout(writer.try_clone().expect("a pipe has many writers")).stderr(writer);
    let mut child = Started(command.spawn().expect("the test's own executable starts"));
    // It holds the writing end, which would keep the output open.
    drop(command);
    let (ended, has_ended) = channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = output.read_to_end(&mut text);
        let _ = ended.send(String::from_utf8_lossy(&text).into_owned());
    });
    let in_time = has_ended.recv_timeout(LIMIT);
    if in_time.is_err() {
        let _ = child.0.kill();
    }
    let text = in_time.clone().or_else(|_| has_ended.recv()).unwrap_or_default();
    let status = child.0.wait().expect("a child can be waited for");
    assert!(in_time.is_ok(), "{name} did not end within {LIMIT:?}:\n{text}");
    assert!(status.success() && text.contains("1 passed"), "{name}: {status}\n{text}");
}

/// The name that the test has for the harness, from that of its closure.
fn test_of<F>() -> &'static str {
    let full = std::any::type_name::<F>();
    let test = full.strip_suffix("::{{closure}}").expect("a test is a closure in its function");
    test.split_once("::").expect("a test lives in a module").1
}

/// A process that does not outlive the test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The parent holds the other end of the standard input: when it is gone, so are we.
fn end_with_the_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
}
