//! Ctrl-C: cancels all tasks, tells what was running, and exits (feature `signal`).

use std::sync::Once;
use std::time::{Duration, Instant};

/// How long running tasks have to see `cancelled` and return.
const GRACE: Duration = Duration::from_millis(500);
/// What the shell expects of a program that ended by SIGINT.
const EXIT: i32 = 130;

/// Watches for Ctrl-C from now on. A program with a handler of its own keeps it.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = ctrlc::try_set_handler(interrupted);
    });
}

fn interrupted() {
    let status = poniard_pool::status();
    let left = status.waiting + status.ready + status.running;
    eprintln!("\ninterrupted: {left} tasks are cancelled, {} had ended", status.done + status.failed);
    for task in &status.tasks {
        let place = task.on.map_or_else(|| "waiting".to_owned(), |on| format!("on {on}"));
        eprintln!("  was running: `{}` ({}, {}) {place}", task.name, task.task, task.site);
    }
    poniard_pool::halt();
    let deadline = Instant::now() + GRACE;
    while poniard_pool::status().running > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::process::exit(EXIT);
}
