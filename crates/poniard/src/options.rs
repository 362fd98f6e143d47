//! What a task asks for: on its call, for a region, or handed down by the task that spawns it.

use crate::checkpoints::{Checkpoint, Keep, Key};
use crate::cluster;
use crate::reach;
use crate::task::{AnyTask, DTask};
use poniard_model::{Data, Occupancy, Retries, Scope, Storage, TaskOptions, WorkerId};
use poniard_pool::{AnyHandle, Demand, Extra, WHOLE};
use std::sync::Arc;
use std::time::Duration;

/// What a task asks for.
///
/// On a call, `spawn!(f(a), priority = 3)`; for a region, [`with_options`](crate::with_options); in the function form, [`crate::spawn_with`].
/// What the call asks wins over its regions, inner ones over outer ones, and those over what the spawning task hands down.
///
/// ```
/// use poniard::prelude::*;
/// let task = spawn!((|x| x + 1)(1), name = "one more", priority = 3);
/// assert_eq!((task.fetch()?, &*task.name()), (2, "one more"));
/// # Ok::<(), TaskError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) asked: TaskOptions,
    pub(crate) after: Vec<AnyTask>,
    pub(crate) checkpoint: Option<Keep>,
    /// What the task's result is known by in the next run.
    pub(crate) key: Option<Key>,
}

impl Options {
    /// Nothing asked for.
    pub fn new() -> Options {
        Options::default()
    }

    /// The name of the task in errors, traces and `status`; its function, unless set.
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Options {
        self.asked.name = Some(name.into());
        self
    }

    /// Where the task may run; on every CPU processor, unless set.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Options {
        self.asked.scope = Some(scope);
        self
    }

    /// Where the task may run, in place of [`Options::scope`] where both are set.
    #[must_use]
    pub fn compute_scope(mut self, scope: Scope) -> Options {
        self.asked.compute_scope = Some(scope);
        self
    }

    /// Where the result may be: the task runs there, and so do the tasks that use its result. `fetch` gives it to this process all
    /// the same.
    ///
    /// ```
    /// use poniard::prelude::*;
    /// let made = spawn!((|x: i64| x + 1)(1), result_scope = Scope::worker(1));
    /// assert_eq!(spawn!((|x: &i64| 2 * x)(&made)).fetch()?, 4);
    /// let error = spawn!((|x: &i64| 2 * x)(&made), scope = !Scope::worker(1)).fetch().unwrap_err();
    /// assert!(error.to_string().contains("no processor fits scope `!worker 1 & worker 1`"), "{error}");
    /// # Ok::<(), TaskError>(())
    /// ```
    #[must_use]
    pub fn result_scope(mut self, scope: Scope) -> Options {
        self.asked.result_scope = Some(scope);
        self
    }

    /// The only worker on which the task may run.
    #[must_use]
    pub fn single(mut self, worker: impl Into<WorkerId>) -> Options {
        self.asked.single = Some(worker.into());
        self
    }

    /// Of several ready tasks the one with the highest priority starts first; 0, unless set. Below 0 it waits until
    /// nothing else is ready.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Options {
        self.asked.priority = Some(priority);
        self
    }

    /// The share of a processor that the task holds while it runs, from 0 to 1; all of it, unless set. A task with 0
    /// never keeps another from running. At most 4,096 tasks run beside those that the processors run, so do not let
    /// more of them wait for each other by other means than their handles.
    #[must_use]
    pub fn occupancy(mut self, occupancy: impl Into<Occupancy>) -> Options {
        self.asked.occupancy = Some(occupancy.into());
        self
    }

    /// How many processors the task holds, because it runs that many threads itself; 1, unless set.
    #[must_use]
    pub fn threads(mut self, threads: u32) -> Options {
        self.asked.threads = Some(threads);
        self
    }

    /// Bytes that the task will allocate. It starts when they fit beside what running tasks have declared; with nothing
    /// else declared, one task is always let in.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Options {
        self.asked.memory = Some(bytes);
        self
    }

    /// How long the task is expected to run: of ready tasks with equal priority, the longest starts first.
    #[must_use]
    pub fn time(mut self, expected: Duration) -> Options {
        self.asked.time = Some(expected);
        self
    }

    /// How often the task is run again when it fails: a number, or [`Retries`]. Values that it takes are copied before
    /// each attempt but the last; a task with real captures, which cannot be copied, has one attempt.
    #[must_use]
    pub fn retries(mut self, retries: impl Into<Retries>) -> Options {
        self.asked.retries = Some(retries.into());
        self
    }

    /// How long one attempt may run. The task then fails, whatever its function does; a function that looks at
    /// [`cancelled`](crate::cancelled) can end early.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Options {
        self.asked.timeout = Some(limit);
        self
    }

    /// Tasks to wait for without using their results: a handle, a slice or vector of handles, or a tuple of these. When one
    /// of them fails, the task fails.
    #[must_use]
    pub fn after(mut self, tasks: impl After) -> Options {
        tasks.add_to(&mut self.after);
        self
    }

    /// Keeps the result as a raw value rather than behind a handle. Never changes what is seen; in one process every
    /// result is a raw value.
    #[must_use]
    pub fn get_result(mut self, get_result: bool) -> Options {
        self.asked.get_result = Some(get_result);
        self
    }

    /// Keeps the result for the next run, which finds it instead of running the task: it is known by this name, the function,
    /// the type of the result and the arguments. Only on the call itself, not for a block. What fails is told once on the
    /// standard error, and the work goes on as if there were no checkpoint.
    ///
    /// A task with real captures, and one whose argument has no bytes, cannot be known again, and runs.
    #[must_use]
    pub fn checkpoint(mut self, name: impl Into<Arc<str>>) -> Options {
        self.checkpoint = Some(Keep::Named(name.into()));
        self
    }

    /// Keeps and finds the result by functions of one's own: see [`Checkpoint`].
    #[must_use]
    pub fn checkpoint_with(mut self, hooks: Checkpoint) -> Options {
        self.checkpoint = Some(Keep::Hooks(hooks));
        self
    }

    /// Keeps the result although nobody has a handle of it, until [`AnyTask::release`] or the end of the runtime.
    #[must_use]
    pub fn persist(mut self, persist: bool) -> Options {
        self.asked.persist = Some(persist);
        self
    }

    /// Makes the result again when it is wanted, by running the function once more, instead of writing it to disk when there is
    /// no room for it: for what is made faster than it is read. Only for a function that gives the same result each time.
    ///
    /// For that a copy of the arguments is kept as long as the result, with the tasks that they refer to; what a task takes by
    /// value is copied too. A result whose arguments cannot be copied, or give access to a [`Mutable`](crate::Mutable), goes to
    /// disk like others, and so does one that a checkpoint gave; with [`Options::storage`] this option does nothing. Small results
    /// stay in memory. When the function fails the second time, that is the error of whoever wanted the result, and the next one
    /// has it run once more. A function that waits for a `Mutable` which its reader has in hand is a circle, and an error. While results are made again that are made of each other, those on the way may go beyond the budget.
    ///
    /// ```
    /// use poniard::prelude::*;
    /// let table = spawn!((|n: u64| (0..n).map(|x| x * x).collect::<Vec<u64>>())(10_000), cache = true);
    /// assert_eq!(table.fetch_ref()?[9], 81);
    /// # Ok::<(), TaskError>(())
    /// ```
    #[must_use]
    pub fn cache(mut self, cache: bool) -> Options {
        self.asked.cache = Some(cache);
        self
    }

    /// Where the result may be while nobody uses it, if it is large.
    ///
    /// ```
    /// use poniard::prelude::*;
    /// use poniard::Storage;
    /// let table = spawn!((|n: u64| (0..n).collect::<Vec<u64>>())(10_000), storage = Storage::Memory);
    /// assert_eq!(table.fetch_ref()?.len(), 10_000);
    /// # Ok::<(), TaskError>(())
    /// ```
    #[must_use]
    pub fn storage(mut self, storage: Storage) -> Options {
        self.asked.storage = Some(storage);
        self
    }

    /// Names of options that this task hands to the tasks which it spawns, and they to theirs. An unknown name fails the task.
    #[must_use]
    pub fn propagates<const N: usize>(mut self, names: [&'static str; N]) -> Options {
        self.asked.propagates = Some(names.into());
        self
    }
}

/// Tasks to wait for, for [`Options::after`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no task to wait for",
    label = "no task",
    note = "`after` takes a handle by reference, `&p`; a slice or vector of handles, `&tasks`; or a tuple, `(&p, &tasks)`"
)]
pub trait After {
    /// Adds the handles.
    fn add_to(self, tasks: &mut Vec<AnyTask>);
}

impl<T: Data> After for &DTask<T> {
    fn add_to(self, tasks: &mut Vec<AnyTask>) {
        tasks.push(self.any());
    }
}

impl After for &AnyTask {
    fn add_to(self, tasks: &mut Vec<AnyTask>) {
        tasks.push(self.clone());
    }
}

impl<X> After for &[X]
where
    for<'a> &'a X: After,
{
    fn add_to(self, tasks: &mut Vec<AnyTask>) {
        self.iter().for_each(|task| task.add_to(tasks));
    }
}

impl<X> After for &Vec<X>
where
    for<'a> &'a X: After,
{
    fn add_to(self, tasks: &mut Vec<AnyTask>) {
        self.as_slice().add_to(tasks);
    }
}

impl<X, const N: usize> After for &[X; N]
where
    for<'a> &'a X: After,
{
    fn add_to(self, tasks: &mut Vec<AnyTask>) {
        self.as_slice().add_to(tasks);
    }
}

impl<X: After, const N: usize> After for [X; N] {
    fn add_to(self, tasks: &mut Vec<AnyTask>) {
        self.into_iter().for_each(|task| task.add_to(tasks));
    }
}

macro_rules! after_tuples {
    ($(($($name:ident $place:tt),+))*) => {$(
        impl<$($name: After),+> After for ($($name,)+) {
            fn add_to(self, tasks: &mut Vec<AnyTask>) {
                $(self.$place.add_to(tasks);)+
            }
        }
    )*};
}
after_tuples! { (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4) (A 0, B 1, C 2, D 3, E 4, F 5) }

/// What a task asks for, resolved for the engine. `inherited` is what its children will inherit from it, and
/// `data` is where the data live that it uses.
pub(crate) fn resolve(
    asked: TaskOptions,
    after: &[AnyTask],
    handed_down: TaskOptions,
    data: Option<Scope>,
) -> Extra {
    let (inherited, unknown) = match asked.propagated() {
        Ok(propagated) => (propagated.or(&handed_down), None),
        Err(unknown) => (handed_down, Some(format!("`propagates` names `{unknown}`, which is no option"))),
    };
    let mut extra = Extra::default();
    extra.impossible = unknown;
    // A scope that has processors here keeps the task here.
    extra.stays = data.is_some() || is_scoped(&asked);
    extra.reach = asked.result_scope.clone();
    if extra.reach.is_some() {
        reach::bind_results();
    }
    extra.name = asked.name.clone();
    extra.retries = asked.retries.clone();
    extra.timeout = asked.timeout;
    extra.is_persistent = asked.persist.unwrap_or(false);
    extra.is_cached = asked.cache.unwrap_or(false);
    extra.storage = asked.storage.unwrap_or_default();
    extra.inherited = inherited.is_set().then(|| Arc::new(inherited));
    match demand(&asked, data) {
        Ok((demand, elsewhere)) => (extra.demand, extra.elsewhere) = (demand, elsewhere),
        Err(reason) => extra.impossible = Some(reason),
    }
    let after: Vec<AnyHandle> = after.iter().map(|task| task.0.clone()).collect();
    extra.after(&after);
    extra
}

/// Where and with how much of the machine the task runs, and its scope if that is in another process; or why it cannot.
fn demand(asked: &TaskOptions, data: Option<Scope>) -> Result<(Demand, Option<Scope>), String> {
    let share = match asked.occupancy {
        None => WHOLE,
        Some(Occupancy { cpu: 0.0 }) => 0,
        Some(Occupancy { cpu }) if (0.0..=1.0).contains(&cpu) => {
            ((cpu * f64::from(WHOLE)).round() as u32).max(1)
        }
        Some(Occupancy { cpu }) => {
            return Err(format!("occupancy {cpu}: a share of a processor lies between 0 and 1"));
        }
    };
    let width = match asked.threads {
        Some(0) => return Err("`threads = 0`: a task runs at least one thread".to_owned()),
        threads => threads.unwrap_or(1),
    };
    if width > 1 && share < WHOLE {
        return Err(
            "`threads` and `occupancy` together: a task that holds several processors holds all of each"
                .into(),
        );
    }
    let (fits, elsewhere) = match fitting(asked, data)? {
        Fitting::All => (None, None),
        Fitting::These(processors) => (Some(processors), None),
        Fitting::Elsewhere(scope) => (None, Some(scope)),
    };
    let demand = Demand {
        priority: asked.priority.unwrap_or(0),
        share,
        width,
        fits,
        memory: asked.memory.unwrap_or(0),
        time: asked.time.unwrap_or(Duration::ZERO),
    };
    Ok((demand, elsewhere))
}

/// Where a task may run.
enum Fitting {
    /// On all processors of this process.
    All,
    /// On these of them.
    These(Arc<[u32]>),
    /// In other processes alone.
    Elsewhere(Scope),
}

/// The scopes that are asked for, each with the option that asks for it. All of them must hold.
pub(crate) fn constraints(asked: &TaskOptions) -> Vec<(String, Scope)> {
    let compute = match &asked.compute_scope {
        Some(scope) => Some(("compute_scope", scope.clone())),
        None => asked.scope.clone().map(|scope| ("scope", scope)),
    };
    let single = asked.single.map(|worker| ("single", Scope::worker(worker)));
    let result = asked.result_scope.clone().map(|scope| ("result_scope", scope));
    let all = compute.into_iter().chain(single).chain(result);
    all.map(|(name, scope)| (name.to_owned(), scope)).collect()
}

/// The scope that is asked for, if one is.
fn scope_of(asked: &TaskOptions) -> Option<Scope> {
    let compute = asked.compute_scope.as_ref().or(asked.scope.as_ref()).cloned();
    let scopes = [compute, asked.single.map(Scope::worker), asked.result_scope.clone()];
    scopes.into_iter().flatten().reduce(|left, right| left & right)
}

/// Whether a scope is asked for.
fn is_scoped(asked: &TaskOptions) -> bool {
    let TaskOptions { scope, compute_scope, result_scope, single, .. } = asked;
    scope.is_some() || compute_scope.is_some() || result_scope.is_some() || single.is_some()
}

/// Where the processors are that are in the task's scope and where its data live.
fn fitting(asked: &TaskOptions, data: Option<Scope>) -> Result<Fitting, String> {
    let scope = scope_of(asked).into_iter().chain(data).reduce(|scope, data| scope & data);
    let Some(scope) = scope else { return Ok(Fitting::All) };
    let topology = cluster::topology()?;
    let me = poniard_pool::me();
    let all = scope.processors(&topology);
    if all.is_empty() {
        let reason = scope.why_empty(&topology).unwrap_or_default();
        return Err(Scope::why_apart(&constraints(asked), &topology).unwrap_or(reason));
    }
    if all.iter().all(|id| id.worker != me) {
        return Ok(Fitting::Elsewhere(scope));
    }
    let here: Arc<[u32]> = all.iter().filter(|id| id.worker == me).map(|id| id.index).collect();
    Ok(if here.len() < topology.processors_of(me).len() { Fitting::These(here) } else { Fitting::All })
}
