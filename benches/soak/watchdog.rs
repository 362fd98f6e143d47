//! Ends the program with a report when it makes no progress.

use poniard::AnyTask;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What goes on since when, and the tasks that are waited for.
struct Watched {
    what: String,
    since: Instant,
    tasks: Vec<AnyTask>,
}

static WATCHED: Mutex<Option<Watched>> = Mutex::new(None);

/// More tasks tell nothing more.
const EXPLAINED_MAX: usize = 10;

/// Ends the program when one thing takes longer than `limit`.
pub(crate) fn start(limit: Duration) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let watched = WATCHED
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take_if(|it| it.since.elapsed() > limit);
            let Some(watched) = watched else { continue };
            println!("HANG: {} takes longer than {limit:?}; {}", watched.what, resident());
            let waiting: Vec<&AnyTask> = watched.tasks.iter().filter(|task| !task.is_ready()).collect();
            println!("{} of {} tasks have not ended", waiting.len(), watched.tasks.len());
            for task in waiting.into_iter().take(EXPLAINED_MAX) {
                println!("{}", task.explain());
            }
            std::process::exit(1);
        }
    });
}

/// This begins now.
pub(crate) fn begins(what: String, tasks: Vec<AnyTask>) {
    let watched = Watched { what, since: Instant::now(), tasks };
    *WATCHED.lock().unwrap_or_else(PoisonError::into_inner) = Some(watched);
}

fn resident() -> String {
    format!("children: {:?}, {:?}", crate::census::children(), crate::census::Census::here())
}
