//! Errors on their way to another process: as text where the value itself cannot go.

use super::{Cause, FailedTask, Failure, Kind, TaskError};
use crate::ids::{TaskId, WorkerId};
use crate::site::Site;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Errors inside one another that are told; of more than these, the ones next to the root are left out.
const DEPTH_MAX: usize = 16;
/// Causes that are told of an error which a function has returned.
const SOURCES_MAX: usize = 16;

/// A cause as bytes.
#[derive(Debug, Serialize, Deserialize)]
pub struct CauseTold(KindTold);

#[derive(Debug, Serialize, Deserialize)]
enum KindTold {
    Panicked {
        message: String,
        place: Option<String>,
    },
    /// What the error said, and then its sources.
    Returned(Vec<String>),
    Inner(Box<ErrorTold>),
    Upstream(Box<ErrorTold>),
    Cancelled(String),
    TimedOut(Duration),
    Scheduling(String),
    WorkerLost {
        workers: Vec<WorkerId>,
        how: String,
    },
    StateLost {
        worker: WorkerId,
        how: String,
    },
    Halted,
}

#[derive(Debug, Serialize, Deserialize)]
struct ErrorTold {
    task: Option<TaskTold>,
    cause: KindTold,
}

#[derive(Debug, Serialize, Deserialize)]
struct TaskTold {
    id: TaskId,
    name: String,
    /// What the site is known by in both processes.
    site: Option<u64>,
    worker: WorkerId,
    attempt: u32,
}

/// An error that a function has returned in another process: what it said, and what its sources said.
#[derive(Debug)]
pub struct RemoteError {
    text: String,
    source: Option<Box<RemoteError>>,
}

impl TaskError {
    /// Why the task failed, for another process, which is told of the task itself by other means. `number` tells what a site is
    /// known by there.
    pub fn told_cause(&self, number: &dyn Fn(&'static Site) -> Option<u64>) -> CauseTold {
        CauseTold(tell_cause(&self.0.cause.0, number, DEPTH_MAX))
    }
}

impl CauseTold {
    /// The cause here. `site` finds the site of a number.
    pub fn into_cause(self, site: &dyn Fn(u64) -> Option<&'static Site>) -> Cause {
        Cause(hear_cause(self.0, site))
    }
}

fn tell_cause(kind: &Kind, number: &dyn Fn(&'static Site) -> Option<u64>, depth: usize) -> KindTold {
    let tell = |error: &TaskError| {
        // The root is what people look for.
        let error = if depth == 0 { error.root() } else { error };
        let task = error.task().map(|task| TaskTold {
            id: task.id,
            name: task.name.to_string(),
            site: number(task.site),
            worker: task.worker,
            attempt: task.attempt,
        });
        Box::new(ErrorTold { task, cause: tell_cause(&error.0.cause.0, number, depth.saturating_sub(1)) })
    };
    match kind {
        Kind::Panicked { message, place } => {
            KindTold::Panicked { message: message.clone(), place: place.clone() }
        }
        Kind::Returned(error) => KindTold::Returned(texts(&**error)),
        Kind::Inner(inner) => KindTold::Inner(tell(inner)),
        Kind::Upstream(root) => KindTold::Upstream(tell(root)),
        Kind::Cancelled { why } => KindTold::Cancelled(why.to_string()),
        Kind::TimedOut { limit } => KindTold::TimedOut(*limit),
        Kind::Scheduling(reason) => KindTold::Scheduling(reason.clone()),
        Kind::WorkerLost { workers, how } => {
            KindTold::WorkerLost { workers: workers.clone(), how: how.clone() }
        }
        Kind::StateLost { worker, how } => KindTold::StateLost { worker: *worker, how: how.clone() },
        Kind::Halted => KindTold::Halted,
    }
}

fn hear_cause(told: KindTold, site: &dyn Fn(u64) -> Option<&'static Site>) -> Kind {
    static ELSEWHERE: Site = Site::new("?", "another process", 0);
    let hear = |told: ErrorTold| {
        let task = told.task.map(|task| FailedTask {
            id: task.id,
            name: task.name.into(),
            site: task.site.and_then(site).unwrap_or(&ELSEWHERE),
            worker: task.worker,
            attempt: task.attempt,
        });
        TaskError(Arc::new(Failure { task, cause: Cause(hear_cause(told.cause, site)) }))
    };
    match told {
        KindTold::Panicked { message, place } => Kind::Panicked { message, place },
        KindTold::Returned(texts) => Kind::Returned(Box::new(RemoteError::of(texts))),
        KindTold::Inner(inner) => Kind::Inner(hear(*inner)),
        KindTold::Upstream(root) => Kind::Upstream(hear(*root)),
        KindTold::Cancelled(why) => Kind::Cancelled { why: Cow::Owned(why) },
        KindTold::TimedOut(limit) => Kind::TimedOut { limit },
        KindTold::Scheduling(reason) => Kind::Scheduling(reason),
        KindTold::WorkerLost { workers, how } => Kind::WorkerLost { workers, how },
        KindTold::StateLost { worker, how } => Kind::StateLost { worker, how },
        KindTold::Halted => Kind::Halted,
    }
}

/// What an error and its sources say.
fn texts(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next.filter(|_| texts.len() < SOURCES_MAX) {
        texts.push(error.to_string());
        next = error.source();
    }
    texts
}

impl RemoteError {
    fn of(texts: Vec<String>) -> RemoteError {
        let chain =
            texts.into_iter().rev().fold(None, |source, text| Some(Box::new(RemoteError { text, source })));
        chain.map_or_else(|| RemoteError { text: String::new(), source: None }, |first| *first)
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for RemoteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SITE: Site = Site::new("solve", "src/main.rs", 7);

    fn failed(id: u64) -> FailedTask {
        FailedTask { id: TaskId(id), name: "solve".into(), site: &SITE, worker: WorkerId(2), attempt: 1 }
    }

    /// The cause of an error as another process has it.
    fn there(error: &TaskError) -> TaskError {
        let told = error.told_cause(&|site| (site == &SITE).then_some(5));
        let bytes = postcard::to_allocvec(&told).unwrap();
        let told: CauseTold = postcard::from_bytes(&bytes).unwrap();
        TaskError::new(failed(1), told.into_cause(&|number| (number == 5).then_some(&SITE)))
    }

    #[test]
    fn every_cause_says_the_same_there() {
        let root = TaskError::new(failed(3), Cause::panicked(&"boom", Some("a.rs:1".into())));
        let causes = [
            Cause::panicked(&"boom", None),
            Cause::returned("no luck".into()),
            Cause::returned(Box::new(root.clone())),
            Cause::upstream(&root),
            Cause::cancelled("before it started"),
            Cause::timed_out(Duration::from_secs(1)),
            Cause::scheduling("nothing fits"),
            Cause::worker_lost(vec![WorkerId(2), WorkerId(3)], "killed by signal 9"),
            Cause::state_lost(WorkerId(2), "it was killed by signal 9"),
            Cause::halted(),
        ];
        for cause in causes {
            let error = TaskError::new(failed(1), cause);
            assert_eq!(there(&error).to_string(), error.to_string());
            let kinds = |error: &TaskError| {
                (error.is_panic(), error.is_cancelled(), error.is_timeout(), error.is_worker_lost())
            };
            assert_eq!(kinds(&there(&error)), kinds(&error));
        }
    }

    #[test]
    fn a_returned_error_keeps_its_sources_as_text() {
        #[derive(Debug)]
        struct Outer(std::io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("outer")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let error =
            TaskError::new(failed(1), Cause::returned(Box::new(Outer(std::io::Error::other("inner")))));
        let there = there(&error);
        let remote = there.downcast_ref::<RemoteError>().expect("text across processes");
        assert_eq!(
            (remote.to_string(), remote.source().unwrap().to_string()),
            ("outer".into(), "inner".into())
        );
    }

    #[test]
    fn errors_that_nest_without_end_keep_their_root() {
        let mut error = TaskError::new(failed(0), Cause::panicked(&"boom", None));
        for id in 1..1000 {
            error = TaskError::new(failed(id), Cause::returned(Box::new(error)));
        }
        let there = there(&error);
        assert_eq!(there.root().task().unwrap().id, TaskId(0));
        assert!(there.is_panic());
    }
}
