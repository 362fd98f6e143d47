//! Lazy tasks: a graph that is built first, and runs when a result of it is asked for.
//!
//! A lazy task is a task that is held back, with the lazy tasks that it needs. To collect one launches those of them that are
//! not launched yet, on the same engine as every other task. So nothing is started or torn down a call, graphs share
//! results and run beside each other, and tasks of a graph may spawn more.

use crate::call::Call;
use crate::checkpoints::{self, Key, PartKey, noted, of_call, part_keys};
use crate::chunk::Chunk;
use crate::function::{self, Apply, IntoArgument, IntoArguments, OneResult};
use crate::options::Options;
use crate::region::{self, Asked, Caught, Form};
use crate::task::DTask;
use poniard_model::{Cause, Data, Pinned, Site, TaskError, TaskId, TaskOptions, WorkerId};
use poniard_pool::{AnyHandle, Arg, Code, Dep, Function, Held, Local, WeakHandle, inputs_of};
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write};
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// A task that runs when its result, or that of a task that needs it, is asked for. It runs once; its result is kept as
/// long as there is a handle.
///
/// ```
/// use poniard::prelude::*;
/// # fn add1(x: i64) -> i64 { x + 1 }
/// # fn add2(x: &i64) -> i64 { x + 2 }
/// # fn combine(xs: &[&i64]) -> i64 { xs.iter().copied().sum() }
/// let s = lazy! {
///     let p = add1(4);
///     let q = add2(&p);
///     combine(&[p, q, lazy!(add1(3))])
/// };
/// assert_eq!(s.collect()?, 16);
/// # Ok::<(), TaskError>(())
/// ```
pub struct Lazy<T> {
    task: DTask<T>,
    node: Arc<Node>,
}

/// A lazy task in its graph.
struct Node {
    handle: AnyHandle,
    inputs: Vec<Arc<Node>>,
    /// What is needed to launch it; gone once it is launched.
    waiting: Mutex<Option<(Held, Asked)>>,
    /// What its result is known by in the next run, once somebody has asked; `None` inside when it is not known again.
    lineage: OnceLock<Option<Key>>,
}

/// Lazy tasks by their id, so that a task finds the nodes of those that it takes as arguments.
static NODES: Mutex<Option<HashMap<TaskId, Found>>> = Mutex::new(None);

/// A node, found by its id.
enum Found {
    /// Somebody has it.
    Elsewhere(Weak<Node>),
    /// It was made as an argument, and the first task that takes it has it from then on.
    Here(Arc<Node>),
}

impl Found {
    /// The node, which stays where it is.
    fn node(&self) -> Option<Arc<Node>> {
        match self {
            Found::Elsewhere(node) => node.upgrade(),
            Found::Here(node) => Some(node.clone()),
        }
    }

    fn take(&mut self) -> Option<Arc<Node>> {
        let node = match self {
            Found::Elsewhere(node) => return node.upgrade(),
            Found::Here(node) => node.clone(),
        };
        *self = Found::Elsewhere(Arc::downgrade(&node));
        Some(node)
    }
}

fn nodes() -> MutexGuard<'static, Option<HashMap<TaskId, Found>>> {
    NODES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Data> Lazy<T> {
    pub(crate) fn new<A: Arg>(mut call: Call<A>, body: Function<A, T>, site: &'static Site) -> Lazy<T> {
        let asked = region::asked(call.options).using(&mut call.arguments);
        Lazy::of(call.arguments, asked, body, site)
    }

    /// A lazy task that looks for its result first. Where that is found by how the inputs are made, these are not run.
    fn kept<A: Arg>(call: Call<A>, body: Function<A, T>, site: &'static Site) -> Lazy<T> {
        let Call { mut arguments, options } = call;
        let mut options = *options.unwrap_or_default();
        let Some(how) = options.checkpoint.take() else {
            let asked = region::asked(Some(Box::new(options))).using(&mut arguments);
            return Lazy::of(arguments, asked, body, site);
        };
        let mut prepared = checkpoints::prepare(how, arguments, body, site, &mut |input| lineage_of(input));
        options.key = prepared.key;
        let found = prepared.found();
        let reading = region::reading(&options);
        let asked = region::asked(Some(Box::new(options))).using(&mut prepared.arguments);
        let running = Lazy::of(
            prepared.arguments,
            asked,
            |(plan, (contents, arguments))| plan.run(contents, arguments),
            site,
        );
        let _ = running.node.lineage.set(prepared.key);
        let Some(found) = found else { return running };
        let read = move || match found() {
            Some(value) => Ok(value),
            // It was there, and cannot be read: the graph behind it runs after all.
            None => checkpoints::copy(running.launch().0),
        };
        let asked = region::asked(Some(Box::new(reading)));
        let reading = Lazy::of((Local::new(read),), asked, |(read,)| read(), site);
        let _ = reading.node.lineage.set(prepared.key);
        reading
    }

    /// A lazy task that asks for what `options` say, wherever it is made.
    pub(crate) fn apart<A: Arg>(
        arguments: A,
        options: Options,
        body: Function<A, T>,
        site: &'static Site,
    ) -> Lazy<T> {
        Lazy::of(arguments, Asked::only(options), body, site)
    }

    fn of<A: Arg>(arguments: A, asked: Asked, body: Function<A, T>, site: &'static Site) -> Lazy<T> {
        let inputs = inputs_of(&arguments);
        let (handle, held) = poniard_pool::hold(arguments, body, site);
        let erased = handle.erase();
        let mut nodes = nodes();
        let nodes = nodes.get_or_insert_default();
        let mut find = |input: &AnyHandle| nodes.get_mut(&input.id())?.take();
        let inputs = inputs.iter().filter_map(&mut find).collect();
        let waiting = Mutex::new(Some((held, asked)));
        let node = Arc::new(Node { handle: erased, inputs, waiting, lineage: OnceLock::new() });
        nodes.insert(node.handle.id(), Found::Elsewhere(Arc::downgrade(&node)));
        Lazy { task: DTask(handle), node }
    }

    /// Launches this task alone, past the regions that hold here.
    pub(crate) fn launch_apart(&self) {
        let waiting = self.node.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((held, asked)) = waiting {
            held.launch(asked.resolve());
        }
    }

    /// Keeps the task until the next lazy task that takes it is made.
    pub(crate) fn keep_for_graph(self) {
        let kept = nodes().get_or_insert_default().insert(self.node.handle.id(), Found::Here(self.node));
        // After the lock: it could be the last one.
        drop(kept);
    }

    /// The task for somebody who does not keep it.
    pub(crate) fn downgrade(&self) -> WeakLazy<T> {
        WeakLazy { task: self.task.0.downgrade(), node: Arc::downgrade(&self.node) }
    }

    /// Launches what is not launched yet, waits, and gives a copy of the result.
    ///
    /// # Errors
    /// That of the task that failed first. What of the graph has not started then is cancelled.
    pub fn collect(&self) -> Result<T, TaskError>
    where
        T: Clone,
    {
        self.collect_with(SchedulerOptions::new())
    }

    /// As [`Lazy::collect`], with options for the whole graph.
    ///
    /// # Errors
    /// As for [`Lazy::collect`].
    pub fn collect_with(&self, options: SchedulerOptions) -> Result<T, TaskError>
    where
        T: Clone,
    {
        self.compute_with(options)?.fetch()
    }

    /// Launches what is not launched yet, waits, and keeps the result where it is.
    ///
    /// # Errors
    /// As for [`Lazy::collect`].
    pub fn compute(&self) -> Result<Chunk<T>, TaskError> {
        self.compute_with(SchedulerOptions::new())
    }

    /// As [`Lazy::compute`], with options for the whole graph.
    ///
    /// # Errors
    /// As for [`Lazy::collect`].
    pub fn compute_with(&self, options: SchedulerOptions) -> Result<Chunk<T>, TaskError> {
        let launched = self.node.launch(&options.for_all);
        let result = self.task.chunk();
        if result.is_err() && !options.allow_errors {
            launched.iter().for_each(AnyHandle::cancel);
        }
        result
    }

    /// Launches what is not launched yet, and does not wait.
    pub fn launch(&self) -> DTask<T> {
        self.node.launch(&TaskOptions::default());
        self.task.clone()
    }

    /// The handle of the task, which is held back until it is launched.
    pub(crate) fn handle(&self) -> &DTask<T> {
        &self.task
    }

    /// The graph behind this task in the language of Graphviz: `dot -Tsvg`.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph lazy {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n");
        for node in self.node.needed() {
            let (id, name) = (node.handle.id(), node.handle.name());
            let label = name.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(dot, "  {id} [label=\"{label}\"];");
            for input in &node.inputs {
                let _ = writeln!(dot, "  {} -> {id};", input.handle.id());
            }
        }
        dot.push_str("}\n");
        dot
    }
}

impl Node {
    /// This node and all that it needs, inputs first.
    fn needed(self: &Arc<Node>) -> Vec<Arc<Node>> {
        self.needed_unless(|_| false)
    }

    /// The same without the nodes that `is_left_out` names, and what only they need. Not by recursion: a graph may be a
    /// long chain.
    fn needed_unless(self: &Arc<Node>, is_left_out: impl Fn(&Node) -> bool) -> Vec<Arc<Node>> {
        enum Step {
            Enter(Arc<Node>),
            Leave(Arc<Node>),
        }
        let mut seen = HashSet::new();
        let mut order = Vec::new();
        let mut steps = vec![Step::Enter(self.clone())];
        while let Some(step) = steps.pop() {
            match step {
                Step::Enter(node) if seen.insert(node.handle.id()) && !is_left_out(&node) => {
                    let inputs = node.inputs.clone();
                    steps.push(Step::Leave(node));
                    steps.extend(inputs.into_iter().rev().map(Step::Enter));
                }
                Step::Enter(_) => {}
                Step::Leave(node) => order.push(node),
            }
        }
        order
    }

    /// Launches this node and all that it needs; gives those that were launched now.
    fn launch(self: &Arc<Node>, for_all: &TaskOptions) -> Vec<AnyHandle> {
        let mut launched = Vec::new();
        let mut group = Vec::new();
        for node in self.needed() {
            let waiting = node.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some((held, asked)) = waiting {
                let key = node.lineage.get().copied().flatten();
                let extra = asked.or(for_all).known_by(key).resolve();
                group.push(Caught { held, extra, form: Form::Function });
                launched.push(node.handle.clone());
            }
        }
        region::submit(group);
        launched
    }
}

/// What the result of a task is known by in the next run, if that is known without the result.
fn lineage_of(task: &AnyHandle) -> Option<Key> {
    let found = nodes().as_mut().and_then(|nodes| nodes.get(&task.id())?.node());
    let Some(node) = found else { return noted(task) };
    for node in node.needed_unless(|node| node.lineage.get().is_some()) {
        let lineage = node.find_lineage();
        let _ = node.lineage.set(lineage);
    }
    node.lineage.get().copied().flatten()
}

impl Node {
    /// By the function and the arguments; those that are lazy tasks have been asked before.
    fn find_lineage(&self) -> Option<Key> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((held, _)) = &*waiting else { return noted(&self.handle) };
        let mut lineage = |input: &AnyHandle| {
            let node = self.inputs.iter().find(|node| node.handle.id() == input.id());
            node.map_or_else(|| noted(input), |node| node.lineage.get().copied().flatten())
        };
        let parts = part_keys(|visit| held.parts(visit), &mut lineage)?;
        let known: Option<Vec<Key>> = parts.into_iter().map(PartKey::ahead).collect();
        Some(of_call("", self.handle.site(), "", known?))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(nodes) = nodes().as_mut() {
            nodes.remove(&self.handle.id());
        }
        // A long chain would otherwise be dropped by recursion.
        let mut inputs = std::mem::take(&mut self.inputs);
        while let Some(input) = inputs.pop() {
            if let Some(mut node) = Arc::into_inner(input) {
                inputs.append(&mut node.inputs);
            }
        }
    }
}

impl<T> Clone for Lazy<T> {
    fn clone(&self) -> Lazy<T> {
        Lazy { task: self.task.clone(), node: self.node.clone() }
    }
}

impl<T> fmt::Debug for Lazy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lazy {:?}", self.task)
    }
}

/// A lazy task that somebody else keeps, by a handle of it or of a task that needs it.
pub(crate) struct WeakLazy<T> {
    task: WeakHandle<T>,
    node: Weak<Node>,
}

impl<T: Data> WeakLazy<T> {
    /// Its handle, and itself while anybody may still have to launch it.
    pub(crate) fn upgrade(&self) -> Option<(DTask<T>, Option<Lazy<T>>)> {
        let task = DTask(self.task.upgrade()?);
        let lazy = self.node.upgrade().map(|node| Lazy { task: task.clone(), node });
        Some((task, lazy))
    }
}

impl<T: Data> IntoArgument<OneResult> for &Lazy<T> {
    type Argument = Dep<T>;
    fn into_argument(self) -> Dep<T> {
        Dep::new(self.handle().0.clone())
    }
}

impl<A> Call<A> {
    /// Makes a lazy task.
    #[rustfmt::skip] // The comment belongs to the parameter: rustc shows the line.
    pub fn lazy<R>(self, site: &'static Site, body: Function<A, R>) -> Lazy<R> // captures: `lazy!(k = k => ..)`
    where
        A: Arg,
        R: Data,
    {
        Lazy::new(self, body, site)
    }

    /// Makes a lazy task that has a checkpoint.
    pub fn lazy_checkpointed<R>(self, site: &'static Site, body: Function<A, R>) -> Lazy<R>
    where
        A: Arg,
        R: Data,
    {
        Lazy::kept(self, body, site)
    }

    /// Makes a lazy task with real captures.
    pub fn lazy_local<R, F>(self, site: &'static Site, body: F) -> Lazy<Pinned<R>>
    where
        A: Arg,
        R: Send + Sync + 'static,
        F: for<'a> FnOnce(A::Out<'a>) -> Result<R, Cause> + Send + 'static,
    {
        let call = Call { arguments: (Local::new(body), self.arguments), options: self.options };
        call.lazy(site, |(body, arguments)| body(arguments).map(Pinned))
    }
}

/// Options for one `collect` or `compute` of a lazy task: they hold for every task of its graph that does not ask otherwise.
///
/// ```
/// use poniard::prelude::*;
/// let x = lazy!((|a, b| a + b)(1, 2));
/// assert_eq!(x.collect_with(SchedulerOptions::new().single(1))?, 3);
/// # Ok::<(), TaskError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SchedulerOptions {
    for_all: TaskOptions,
    allow_errors: bool,
}

impl SchedulerOptions {
    /// Nothing asked for.
    pub fn new() -> SchedulerOptions {
        SchedulerOptions::default()
    }

    /// The only worker on which the tasks may run.
    #[must_use]
    pub fn single(mut self, worker: impl Into<WorkerId>) -> SchedulerOptions {
        self.for_all.single = Some(worker.into());
        self
    }

    /// What each task asks for, unless it says otherwise itself.
    #[must_use]
    pub fn options(mut self, options: Options) -> SchedulerOptions {
        self.for_all = options.asked.or(&self.for_all);
        self
    }

    /// Whether the rest of the graph goes on when one task has failed. Otherwise what has not started is cancelled.
    #[must_use]
    pub fn allow_errors(mut self, allow: bool) -> SchedulerOptions {
        self.allow_errors = allow;
        self
    }
}

/// A function that makes lazy tasks; see [`delayed`].
#[derive(Clone, Debug)]
pub struct Delayed<F> {
    function: F,
    options: Options,
}

/// Makes a function lazy: `delayed(f).call((a, b))` is `lazy!(f(a, b))`, with the arguments of the function form.
///
/// ```
/// use poniard::prelude::*;
/// let add = delayed(|x: i64, y: i64| x + y);
/// assert_eq!(add.call((1, 2)).collect()?, 3);
/// # Ok::<(), TaskError>(())
/// ```
pub fn delayed<F>(function: F) -> Delayed<F> {
    delayed_with(Options::new(), function)
}

/// As [`delayed`], with options for each task.
pub fn delayed_with<F>(options: Options, function: F) -> Delayed<F> {
    Delayed { function, options }
}

impl<F> Delayed<F> {
    /// A lazy task of the function with these arguments.
    #[track_caller]
    pub fn call<K, X, R>(&self, arguments: X) -> Lazy<R>
    where
        X: IntoArguments<K>,
        F: Apply<X::Arguments, R>,
        R: Data,
    {
        let site = function::site::<F>(Location::caller());
        let arguments = (Code::new(self.function.clone()), arguments.into_arguments());
        let call = Call { arguments, options: Some(Box::new(self.options.clone())) };
        call.lazy_checkpointed(site, |(function, arguments)| Ok(function.apply(arguments)))
    }
}
