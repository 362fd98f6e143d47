//! Tasks that are futures (feature `async`): they run on a small tokio runtime of their own, and hold no processor.

use crate::background::runtime;
use crate::call::Call;
use crate::region;
use crate::task::DTask;
use poniard_model::{Cause, Data, FailedTask, Retries, Site, TaskError};
use poniard_pool::{AnyHandle, Arg, Code, Completion, Opened, caught, current, panic_cause};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

/// Makes a future of opened arguments.
type Start<A, Fut> = fn(Opened<A>) -> Fut;

impl<A: Arg> Call<A> {
    /// Spawns a task whose work is a future. It begins when the inputs have ended.
    pub fn spawn_async<R, Fut>(self, site: &'static Site, start: Start<A, Fut>) -> DTask<R>
    where
        R: Data,
        Fut: Future<Output = Result<R, Cause>> + Send + 'static,
    {
        let mut arguments = (Code::new(start), self.arguments);
        let extra = region::asked(self.options).using(&mut arguments).resolve().unwrap_or_default();
        if !region::in_region() {
            return DTask(poniard_pool::spawn_detached(arguments, begin::<A, R, Fut>, site, extra));
        }
        let (handle, held) = poniard_pool::hold_detached(arguments, begin::<A, R, Fut>, site);
        region::submit(vec![region::Caught { held, extra: Some(extra), form: region::Form::Macro }]);
        DTask(handle)
    }
}

/// What the starting task has: the function that makes the future, and its arguments.
type Both<A, Fut> = (Code<Start<A, Fut>>, A);

/// Hands the future to the tokio runtime.
fn begin<A, R, Fut>(both: Opened<Both<A, Fut>>, completion: Completion<R>)
where
    A: Arg,
    R: Data,
    Fut: Future<Output = Result<R, Cause>> + Send + 'static,
{
    let handle = completion.handle();
    let (start, arguments) = both.split();
    let running = runtime().spawn(run(start, arguments, completion));
    let abort = running.abort_handle();
    handle.on_abort(move || abort.abort());
}

/// Runs the future, and ends the task with what comes of it.
async fn run<A, R, Fut>(start: Start<A, Fut>, arguments: Opened<A>, completion: Completion<R>)
where
    A: Arg,
    R: Data,
    Fut: Future<Output = Result<R, Cause>> + Send + 'static,
{
    if completion.is_cancelled() {
        return completion.finish(Err(Cause::cancelled("before it started")));
    }
    let task = completion.handle();
    let attempts = async { Ok(attempts(start, arguments, &completion).await) };
    match guarded(&task, attempts).await {
        Ok(Ok(value)) => completion.finish(Ok(value)),
        Ok(Err(error)) => completion.fail(error),
        // Not in an attempt: where one that has timed out was dropped.
        Err(cause) => completion.finish(Err(cause)),
    }
}

/// What the future gives, run again after a failure if the task's retries say so.
async fn attempts<A, R, Fut>(
    start: Start<A, Fut>,
    arguments: Opened<A>,
    completion: &Completion<R>,
) -> Result<R, TaskError>
where
    A: Arg,
    R: Data,
    Fut: Future<Output = Result<R, Cause>> + Send + 'static,
{
    let task = completion.handle();
    let limit = completion.take_time_limit();
    let retries =
        completion.extra().and_then(|extra| extra.retries.clone()).unwrap_or_else(|| Retries::new(0));
    let mut now = arguments;
    for attempt in 1.. {
        let next = caught(|| (attempt <= retries.max).then(|| now.spare()).flatten()).flatten();
        let run = guarded(&task, start(now));
        let result = match limit {
            // A future that is dropped has ended, so another attempt may begin at once.
            Some(limit) => {
                tokio::time::timeout(limit, run).await.unwrap_or_else(|_| Err(Cause::timed_out(limit)))
            }
            None => run.await,
        };
        let cause = match result {
            Ok(value) => return Ok(value),
            Err(cause) => cause,
        };
        let error = TaskError::new(failed(&task, attempt), cause);
        let again = caught(|| retries.again(attempt, &error)).unwrap_or(false);
        match next.filter(|_| again && !completion.is_cancelled()) {
            Some(next) => now = next,
            None => return Err(error),
        }
        tokio::time::sleep(retries.delay(attempt)).await;
    }
    unreachable!("the last attempt has no next")
}

/// The future, as a part of its task: a panic in it is the task's, and it may ask which task it is.
async fn guarded<R>(task: &AnyHandle, future: impl Future<Output = Result<R, Cause>>) -> Result<R, Cause> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        let poll = || current::on_behalf(task, || future.as_mut().poll(context));
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(polled) => polled,
            Err(payload) => Poll::Ready(Err(panic_cause(payload))),
        }
    })
    .await
}

fn failed(task: &AnyHandle, attempt: u32) -> FailedTask {
    FailedTask { id: task.id(), name: task.name(), site: task.site(), worker: poniard_pool::me(), attempt }
}
