//! Handles in async code: `(&task).await`.

use crate::chunk::Chunk;
use crate::task::{DTask, Ref};
use poniard_model::{Data, TaskError};
use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Waits for a task without holding a thread; made by `(&task).await`.
pub struct TaskFuture<T> {
    task: DTask<T>,
    /// Who is to be woken; shared with the watcher, which is hung up by the first poll.
    waker: Option<Arc<Mutex<Waker>>>,
}

impl<T: Data> IntoFuture for &DTask<T> {
    type Output = Result<Ref<T>, TaskError>;
    type IntoFuture = TaskFuture<T>;

    fn into_future(self) -> TaskFuture<T> {
        TaskFuture { task: self.clone(), waker: None }
    }
}

impl<T: Data> IntoFuture for DTask<T> {
    type Output = Result<Ref<T>, TaskError>;
    type IntoFuture = TaskFuture<T>;

    fn into_future(self) -> TaskFuture<T> {
        TaskFuture { task: self, waker: None }
    }
}

impl<T: Data> IntoFuture for &Chunk<T> {
    type Output = Result<Ref<T>, TaskError>;
    type IntoFuture = TaskFuture<T>;

    fn into_future(self) -> TaskFuture<T> {
        TaskFuture { task: DTask(self.0.clone()), waker: None }
    }
}

impl<T: Data> Future for TaskFuture<T> {
    type Output = Result<Ref<T>, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.task.is_ready() {
            return Poll::Ready(self.task.fetch_ref());
        }
        match &self.waker {
            Some(waker) => waker.lock().unwrap_or_else(PoisonError::into_inner).clone_from(context.waker()),
            None => {
                let waker = Arc::new(Mutex::new(context.waker().clone()));
                self.waker = Some(waker.clone());
                self.task.0.erase().on_end(move || {
                    let waker = waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    waker.wake();
                });
            }
        }
        // It may have ended between the look above and the exchange of the waker.
        if self.task.is_ready() { Poll::Ready(self.task.fetch_ref()) } else { Poll::Pending }
    }
}

impl<T> fmt::Debug for TaskFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskFuture").field(&self.task).finish()
    }
}
