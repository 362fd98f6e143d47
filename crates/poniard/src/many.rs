//! Many tasks at once.

use crate::cluster;
use crate::task::DTask;
use poniard_model::{Data, Pinned, Site, TaskError};
use poniard_pool::{Completion, Handle, Local, promise};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Waits until one of `tasks` has ended, well or not, and gives its place; `None` when there are no tasks.
///
/// ```
/// use poniard::prelude::*;
/// let tasks = [spawn!((|x| x)(1)), spawn!((|x| x)(2))];
/// assert!(wait_any(&tasks).is_some());
/// ```
pub fn wait_any<T: Data>(tasks: &[DTask<T>]) -> Option<usize> {
    let ended = || tasks.iter().position(DTask::is_ready);
    if tasks.is_empty() || ended().is_some() {
        return ended();
    }
    let arrivals = Arc::new(Arrivals::default());
    arrivals.watch(tasks);
    arrivals.next()
}

/// Waits until all `tasks` have ended, well or not.
///
/// ```
/// use poniard::prelude::*;
/// let tasks: Vec<_> = (0..4).map(|i| spawn!((|x| x * x)(i))).collect();
/// wait_all(&tasks);
/// assert!(tasks.iter().all(|task| task.is_ready()));
/// ```
pub fn wait_all<T: Data>(tasks: &[DTask<T>]) {
    tasks.iter().for_each(DTask::wait);
}

/// Waits for all `tasks` and gives copies of their results, in the order of the tasks.
///
/// # Errors
/// That of the first task, in the order of the tasks, that failed.
pub fn fetch_all<T: Data + Clone>(tasks: &[DTask<T>]) -> Result<Vec<T>, TaskError> {
    tasks.iter().map(DTask::fetch).collect()
}

/// The tasks, in the order in which they end.
///
/// ```
/// use poniard::prelude::*;
/// let tasks = (0..4).map(|i| spawn!((|x| x * x)(i)));
/// let mut squares: Vec<i32> = as_completed(tasks).map(|task| task.fetch()).collect::<Result<_, _>>()?;
/// squares.sort();
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # Ok::<(), TaskError>(())
/// ```
pub fn as_completed<T: Data>(tasks: impl IntoIterator<Item = DTask<T>>) -> AsCompleted<T> {
    let tasks: Vec<Option<DTask<T>>> = tasks.into_iter().map(Some).collect();
    let arrivals = Arc::new(Arrivals::default());
    for (place, task) in tasks.iter().flatten().enumerate() {
        arrivals.watch_one(place, task);
    }
    let left = tasks.len();
    AsCompleted { tasks, arrivals, left }
}

/// An iterator over tasks in the order in which they end; see [`as_completed`].
pub struct AsCompleted<T> {
    tasks: Vec<Option<DTask<T>>>,
    arrivals: Arc<Arrivals>,
    left: usize,
}

impl<T: Data> Iterator for AsCompleted<T> {
    type Item = DTask<T>;

    fn next(&mut self) -> Option<DTask<T>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let place = self.arrivals.next()?;
        self.tasks[place].take()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T: Data> ExactSizeIterator for AsCompleted<T> {}

/// Places of tasks that have ended, and whoever waits for the next one.
#[derive(Default)]
struct Arrivals(Mutex<Arrived>);

#[derive(Default)]
struct Arrived {
    places: VecDeque<usize>,
    waiting: Option<Completion<()>>,
}

impl Arrivals {
    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch<T: Data>(self: &Arc<Self>, tasks: &[DTask<T>]) {
        for (place, task) in tasks.iter().enumerate() {
            self.watch_one(place, task);
        }
    }

    fn watch_one<T: Data>(self: &Arc<Self>, place: usize, task: &DTask<T>) {
        let arrivals = self.clone();
        task.0.erase().on_end(move || arrivals.arrive(place));
    }

    fn arrive(&self, place: usize) {
        let waiting = {
            let mut arrived = self.lock();
            arrived.places.push_back(place);
            arrived.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.finish(Ok(()));
        }
    }

    /// Waits for the next one as for a task: the thread helps, or lets go of its processor.
    fn next(&self) -> Option<usize> {
        static SITE: Site = Site::new("the next task to end", file!(), line!());
        loop {
            let next: Handle<()> = {
                let mut arrived = self.lock();
                if let Some(place) = arrived.places.pop_front() {
                    return Some(place);
                }
                let (next, completion) = promise(&SITE);
                arrived.waiting = Some(completion);
                next
            };
            // A halt ends the promise, and the tasks with it, so the next round finds one.
            let _ = next.erase().wait();
        }
    }
}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsCompleted({} left)", self.left)
    }
}

/// Calls `function` on every item, in parallel, and gives the results in the order of the items.
///
/// Items are passed in batches, a few for each processor, so that small work is not drowned in tasks.
///
/// ```
/// let squares = poniard::map(|x: u64| x * x, 0..1000)?;
/// assert_eq!(squares[999], 998_001);
/// # Ok::<(), poniard::TaskError>(())
/// ```
///
/// # Errors
/// When `function` panics on an item; when there is no runtime, because the environment makes no sense.
pub fn map<X, R, F>(function: F, items: impl IntoIterator<Item = X>) -> Result<Vec<R>, TaskError>
where
    X: Send + 'static,
    R: Send + Sync + Clone + 'static,
    F: Fn(X) -> R + Send + Sync + 'static,
{
    static SITE: Site = Site::new("map", file!(), line!());
    /// Batches for each processor: enough to even out items of different cost.
    const BATCHES: usize = 16;
    let mut items: Vec<X> = items.into_iter().collect();
    let processors = cluster::topology().map_err(cluster::refusal)?.processors.len();
    let length = items.len().div_ceil(processors * BATCHES).max(1);
    let function = Arc::new(function);
    let mut batches = Vec::new();
    while !items.is_empty() {
        let batch = items.split_off(items.len().saturating_sub(length));
        let function = function.clone();
        let work = move || batch.into_iter().map(|item| function(item)).collect::<Vec<R>>();
        let call = crate::call::Call::new((Local::new(work),));
        batches.push(call.spawn(&SITE, |(work,)| Ok(Pinned(work()))));
    }
    let mut results = Vec::new();
    for batch in batches.into_iter().rev() {
        results.extend(batch.fetch_ref()?.iter().cloned());
    }
    Ok(results)
}
