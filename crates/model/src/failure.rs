//! Why a task has no result.
//!
//! A [`Cause`] is what happened inside one attempt; a [`TaskError`] is the cause with the task that it
//! happened to. The tasks that depend on a failed one fail with an error of their own that points at
//! the same root.

mod wire;

pub use wire::{CauseTold, RemoteError};

use crate::ids::{TaskId, WorkerId};
use crate::site::Site;
use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why a task has no result: what failed, in which task, on which worker and attempt, and why.
///
/// `Display` is one line. Clones share everything.
#[derive(Clone)]
pub struct TaskError(Arc<Failure>);

struct Failure {
    task: Option<FailedTask>,
    cause: Cause,
}

/// The task that a [`TaskError`] is about.
#[derive(Clone, Debug)]
pub struct FailedTask {
    /// Its id.
    pub id: TaskId,
    /// Its name: the option `name`, else its function.
    pub name: Arc<str>,
    /// The place of its spawn.
    pub site: &'static Site,
    /// The worker on which it ran or would have run.
    pub worker: WorkerId,
    /// The attempt that failed, from 1; 0 when it never started.
    pub attempt: u32,
}

/// What happened inside a task, or before it could start.
pub struct Cause(Kind);

enum Kind {
    Panicked { message: String, place: Option<String> },
    Returned(Box<dyn Error + Send + Sync>),
    Inner(TaskError),
    Upstream(TaskError),
    Cancelled { why: Cow<'static, str> },
    TimedOut { limit: Duration },
    Scheduling(String),
    WorkerLost { workers: Vec<WorkerId>, how: String },
    StateLost { worker: WorkerId, how: String },
    Halted,
}

impl Cause {
    /// A panic, with its message and place.
    pub fn panicked(payload: &(dyn Any + Send), place: Option<String>) -> Cause {
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(message), _) => (*message).to_owned(),
            (_, Some(message)) => message.clone(),
            _ => "a payload that is no text".to_owned(),
        };
        Cause(Kind::Panicked { message, place })
    }

    /// An error that the task's function returned. A `TaskError`, from a `fetch` in the function,
    /// keeps its root.
    pub fn returned(error: Box<dyn Error + Send + Sync>) -> Cause {
        match error.downcast::<TaskError>() {
            Ok(inner) => Cause(Kind::Inner(*inner)),
            Err(error) => Cause(Kind::Returned(error)),
        }
    }

    /// The failure of a task that this one depends on.
    pub fn upstream(failed: &TaskError) -> Cause {
        Cause(Kind::Upstream(failed.root().clone()))
    }

    /// Somebody cancelled the task; `why` tells who or when.
    pub fn cancelled(why: &'static str) -> Cause {
        Cause(Kind::Cancelled { why: why.into() })
    }

    /// One attempt ran for longer than its limit.
    pub fn timed_out(limit: Duration) -> Cause {
        Cause(Kind::TimedOut { limit })
    }

    /// The task cannot run, or cannot be waited for; the text says what was asked and what there is.
    pub fn scheduling(reason: impl Into<String>) -> Cause {
        Cause(Kind::Scheduling(reason.into()))
    }

    /// The workers that ran the task, one after the other, are gone; `how` tells what became of the last one.
    pub fn worker_lost(workers: Vec<WorkerId>, how: impl Into<String>) -> Cause {
        Cause(Kind::WorkerLost { workers, how: how.into() })
    }

    /// Data that lived on a worker, and nowhere else, are gone with it; `how` tells what became of it.
    pub fn state_lost(worker: WorkerId, how: impl Into<String>) -> Cause {
        Cause(Kind::StateLost { worker, how: how.into() })
    }

    /// The runtime was halted.
    pub fn halted() -> Cause {
        Cause(Kind::Halted)
    }
}

impl TaskError {
    /// The failure of `task` by `cause`. An error of the task's own, which its function passed on, stays as it is.
    pub fn new(task: FailedTask, cause: Cause) -> TaskError {
        match cause.0 {
            Kind::Inner(inner) if inner.task().is_some_and(|own| own.id == task.id) => inner,
            kind => TaskError(Arc::new(Failure { task: Some(task), cause: Cause(kind) })),
        }
    }

    /// A failure that is no task's, such as a cluster that cannot start.
    pub fn without_task(cause: Cause) -> TaskError {
        TaskError(Arc::new(Failure { task: None, cause }))
    }

    /// The task that this error is about: the one that was fetched.
    pub fn task(&self) -> Option<&FailedTask> {
        self.0.task.as_ref()
    }

    /// The error of the task that failed first: this one, unless the task failed because another had.
    pub fn root(&self) -> &TaskError {
        let mut error = self;
        while let Kind::Inner(inner) | Kind::Upstream(inner) = &error.0.cause.0 {
            error = inner;
        }
        error
    }

    /// The error value that the root task's function returned, when it has this type.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match &self.root().0.cause.0 {
            Kind::Returned(error) => error.downcast_ref::<E>(),
            _ => None,
        }
    }

    /// Whether the root task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.root().0.cause.0, Kind::Panicked { .. })
    }

    /// Whether the root task was cancelled, or the runtime was halted.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.root().0.cause.0, Kind::Cancelled { .. } | Kind::Halted)
    }

    /// Whether the runtime was halted before the task ended.
    pub fn is_halted(&self) -> bool {
        matches!(self.root().0.cause.0, Kind::Halted)
    }

    /// Whether the root task was lost with its worker, as often as it is run again for that; or with the data that it uses.
    pub fn is_worker_lost(&self) -> bool {
        matches!(self.root().0.cause.0, Kind::WorkerLost { .. } | Kind::StateLost { .. })
    }

    /// Whether the root task needs data changed in place that are gone with the worker on which they lived.
    pub fn is_state_lost(&self) -> bool {
        matches!(self.root().0.cause.0, Kind::StateLost { .. })
    }

    /// Whether the root task could not be placed, or could not be waited for.
    pub fn is_scheduling(&self) -> bool {
        matches!(self.root().0.cause.0, Kind::Scheduling(_))
    }

    /// Whether an attempt of the root task ran for longer than its `timeout`.
    pub fn is_timeout(&self) -> bool {
        matches!(self.root().0.cause.0, Kind::TimedOut { .. })
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { task, cause } = &*self.0;
        if let Some(task) = task {
            write!(f, "task `{}` ({}, {})", task.name, task.id, task.site)?;
            match task.attempt {
                0 => {}
                1 => write!(f, " on {}", task.worker)?,
                attempt => write!(f, " on {}, attempt {attempt},", task.worker)?,
            }
        }
        match &cause.0 {
            Kind::Scheduling(reason) if task.is_none() => write!(f, "{}", OneLine(reason)),
            Kind::Returned(error) if task.is_none() => write!(f, "{}", OneLine(&error.to_string())),
            Kind::Panicked { message, place: Some(place) } => {
                write!(f, " panicked at {place}: {}", OneLine(message))
            }
            Kind::Panicked { message, place: None } => write!(f, " panicked: {}", OneLine(message)),
            Kind::Returned(error) => write!(f, " failed: {}", OneLine(&error.to_string())),
            Kind::Inner(inner) => write!(f, " failed: {inner}"),
            Kind::Upstream(root) => write!(f, " did not run, because an input failed: {root}"),
            Kind::Cancelled { why } => write!(f, " was cancelled {why}"),
            Kind::TimedOut { limit } => write!(f, " ran for longer than its timeout of {limit:?}"),
            Kind::Scheduling(reason) => write!(f, ": {}", OneLine(reason)),
            Kind::WorkerLost { workers, how } => {
                let workers: Vec<String> = workers.iter().map(ToString::to_string).collect();
                write!(f, " was lost with {}: {}", workers.join(", "), OneLine(how))
            }
            Kind::StateLost { worker, how } if task.is_none() => {
                write!(f, "its data were lost with {worker}: {}", OneLine(how))
            }
            Kind::StateLost { worker, how } => {
                write!(f, " needs data that were lost with {worker}: {}", OneLine(how))
            }
            Kind::Halted => write!(f, " has no result, because the runtime was halted"),
        }
    }
}

/// Text with its line breaks made visible, so that an error stays one line.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, line) in self.0.lines().enumerate() {
            f.write_str(if place > 0 { "\\n" } else { "" })?;
            f.write_str(line)?;
        }
        Ok(())
    }
}

/// The same line as `Display`: it is what `fn main() -> poniard::Result<()>` prints.
impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.cause.0 {
            Kind::Returned(error) => Some(&**error),
            Kind::Inner(inner) | Kind::Upstream(inner) => Some(inner),
            _ => None,
        }
    }
}

/// What lets a task's body use `?`: the error that it returned becomes the cause.
impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Cause {
    fn from(error: E) -> Cause {
        Cause::returned(error.into())
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Panicked { .. } => "Panicked",
            Kind::Returned(_) => "Returned",
            Kind::Inner(_) => "Inner",
            Kind::Upstream(_) => "Upstream",
            Kind::Cancelled { .. } => "Cancelled",
            Kind::TimedOut { .. } => "TimedOut",
            Kind::Scheduling(_) => "Scheduling",
            Kind::WorkerLost { .. } => "WorkerLost",
            Kind::StateLost { .. } => "StateLost",
            Kind::Halted => "Halted",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SITE: Site = Site::new("solve", "src/main.rs", 7);

    fn failed(id: u64, attempt: u32) -> FailedTask {
        FailedTask { id: TaskId(id), name: "solve".into(), site: &SITE, worker: WorkerId::FIRST, attempt }
    }

    #[test]
    fn an_error_is_one_line_that_names_task_place_worker_attempt_and_cause() {
        let io = std::io::Error::new(std::io::ErrorKind::NotFound, "no such\nfile");
        let root = TaskError::new(failed(3, 2), Cause::returned(Box::new(io)));
        assert_eq!(
            root.to_string(),
            "task `solve` (t3, src/main.rs:7) on w1, attempt 2, failed: no such\\nfile"
        );
        let next = TaskError::new(failed(4, 0), Cause::upstream(&root));
        let last = TaskError::new(failed(5, 0), Cause::upstream(&next));
        assert_eq!(last.to_string(), next.to_string().replace("t4", "t5"), "every dependent shows the root");
        assert_eq!(last.downcast_ref::<std::io::Error>().unwrap().kind(), std::io::ErrorKind::NotFound);
    }

    #[test]
    fn a_fetch_that_failed_inside_a_task_keeps_its_root() {
        let root = TaskError::new(failed(1, 1), Cause::panicked(&"boom", Some("src/a.rs:1:2".into())));
        let outer = TaskError::new(failed(2, 1), Cause::returned(Box::new(root.clone())));
        assert!(outer.is_panic());
        assert_eq!(outer.root().task().unwrap().id, TaskId(1));
        assert_eq!(root.to_string(), "task `solve` (t1, src/main.rs:7) on w1 panicked at src/a.rs:1:2: boom");
    }
}
