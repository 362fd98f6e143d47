//! Handles in async code: `(&task).await`.

use crate::chunk::Chunk;
use crate::task::{AnyTask, DTask, Ref};
use poniard_model::{Data, TaskError};
use poniard_pool::Bringing;
use poniard_pool::kept::Paused;
use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Waits for a task without holding a thread; made by `(&task).await`.
pub struct TaskFuture<T> {
    task: DTask<T>,
    /// Brings the value into memory, if the task has ended and it is on disk.
    brings: Option<Bringing>,
    /// Who is to be woken; shared with the watcher, which is hung up by the first poll.
    waker: Option<Arc<Mutex<Waker>>>,
    /// Tells the memory budget that whoever awaits it waits.
    paused: Option<Paused>,
}

impl<T> TaskFuture<T> {
    fn new(task: DTask<T>) -> TaskFuture<T> {
        TaskFuture { task, brings: None, waker: None, paused: None }
    }
}

impl<T: Data> IntoFuture for &DTask<T> {
    type Output = Result<Ref<T>, TaskError>;
    type IntoFuture = TaskFuture<T>;

    fn into_future(self) -> TaskFuture<T> {
        TaskFuture::new(self.clone())
    }
}

impl<T: Data> IntoFuture for DTask<T> {
    type Output = Result<Ref<T>, TaskError>;
    type IntoFuture = TaskFuture<T>;

    fn into_future(self) -> TaskFuture<T> {
        TaskFuture::new(self)
    }
}

impl<T: Data> IntoFuture for &Chunk<T> {
    type Output = Result<Ref<T>, TaskError>;
    type IntoFuture = TaskFuture<T>;

    fn into_future(self) -> TaskFuture<T> {
        TaskFuture::new(DTask(self.0.clone()))
    }
}

impl<T: Data> Future for TaskFuture<T> {
    type Output = Result<Ref<T>, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let result = self.look(context);
        match result {
            Poll::Pending if self.paused.is_none() => self.paused = Some(Paused::here()),
            Poll::Pending => {}
            Poll::Ready(_) => self.paused = None,
        }
        result
    }
}

impl<T: Data> TaskFuture<T> {
    fn look(&mut self, context: &mut Context<'_>) -> Poll<Result<Ref<T>, TaskError>> {
        if self.brings.is_none() {
            if !self.task.is_ready() && !self.is_told(context, self.task.any()) {
                return Poll::Pending;
            }
            match self.task.0.clone().try_share() {
                Ok(Ok(shared)) => return Poll::Ready(Ok(Ref(shared))),
                Ok(Err(brings)) => (self.brings, self.waker) = (Some(brings), None),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let brings = self.brings.clone().expect("just set");
        if !brings.is_ended() && !self.is_told(context, AnyTask(brings.erase())) {
            return Poll::Pending;
        }
        Poll::Ready(self.task.0.clone().share_brought(&brings).map(Ref))
    }

    /// Has the waker woken when `task` ends; true when it has ended already.
    fn is_told(&mut self, context: &mut Context<'_>, task: AnyTask) -> bool {
        match &self.waker {
            Some(waker) => waker.lock().unwrap_or_else(PoisonError::into_inner).clone_from(context.waker()),
            None => {
                let waker = Arc::new(Mutex::new(context.waker().clone()));
                self.waker = Some(waker.clone());
                task.0.on_end(move || {
                    let waker = waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    waker.wake();
                });
            }
        }
        // It may have ended between the look before and the exchange of the waker.
        task.is_ready()
    }
}

impl<T> fmt::Debug for TaskFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskFuture").field(&self.task).finish()
    }
}
