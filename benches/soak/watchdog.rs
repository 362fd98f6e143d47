//! Ends the program with a report when it makes no progress.

use poniard::{AnyTask, Cluster};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// What goes on since when, and the tasks that are waited for.
struct Watched {
    what: String,
    since: Instant,
    tasks: Vec<AnyTask>,
}

static CLUSTER: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

static WATCHED: Mutex<Option<Watched>> = Mutex::new(None);

/// More tasks tell nothing more.
const EXPLAINED_MAX: usize = 10;
const LOOKS: usize = 20;

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
            let tasks = watched.tasks.iter().enumerate();
            let waiting: Vec<(usize, &AnyTask)> = tasks.filter(|(_, task)| !task.is_ready()).collect();
            println!("{} of {} tasks have not ended", waiting.len(), watched.tasks.len());
            // Several times: what is sent to and fro looks well at any one moment.
            for _ in 0..LOOKS {
                for (place, task) in waiting.iter().take(EXPLAINED_MAX) {
                    println!("{place}: {}", task.explain());
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            let cluster = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
            if let Some(cluster) = cluster {
                println!("{}", cluster.status());
                println!("{:?} {:?}", poniard::status(), cluster.memory_usage());
            }
            std::process::exit(1);
        }
    });
}

/// It is this one that works.
pub(crate) fn watch(cluster: &Arc<Cluster>) {
    *CLUSTER.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(cluster);
}

/// This begins now.
pub(crate) fn begins(what: String, tasks: Vec<AnyTask>) {
    let watched = Watched { what, since: Instant::now(), tasks };
    *WATCHED.lock().unwrap_or_else(PoisonError::into_inner) = Some(watched);
}

fn resident() -> String {
    format!("children: {:?}, {:?}", crate::census::children(), crate::census::Census::here())
}
