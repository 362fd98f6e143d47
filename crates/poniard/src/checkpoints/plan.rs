//! A task whose result is looked up before it runs, and kept after.

use crate::checkpoints::hooks::Checkpoint;
use crate::checkpoints::key::{Key, PartKey, of_call, part_keys};
use crate::checkpoints::{report, shelf};
use crate::disk::error::Reason;
use poniard_model::codec::Encoded;
use poniard_model::{Cause, Data, Site};
use poniard_pool::{AnyHandle, Arg, Code, Function, Handle, Told, caught};
use std::any::type_name;
use std::fmt::{self, Display};
use std::sync::Arc;

/// How a result is kept.
#[derive(Clone, Debug)]
pub(crate) enum Keep {
    /// In a file, under this name.
    Named(Arc<str>),
    /// By functions of the user's.
    Hooks(Checkpoint),
}

/// The arguments of a task that looks for its result first; [`Plan::run`] is its body.
pub(crate) struct Prepared<A: Arg, R: Data> {
    pub(crate) arguments: (Code<Plan<A, R>>, Told<A>),
    /// What the result is known by, if that is known without the inputs.
    pub(crate) key: Option<Key>,
    plan: Plan<A, R>,
}

/// A task's own body, and what its result is known by.
pub(crate) struct Plan<A: Arg, R> {
    body: Function<A, R>,
    how: Keep,
    site: &'static Site,
    /// What its arguments are known by; `None` when the call cannot be known again.
    parts: Option<Arc<[PartKey]>>,
}

/// Prepares a task. `lineage` knows how results are made that are arguments.
pub(crate) fn prepare<A: Arg, R: Data>(
    how: Keep,
    arguments: A,
    body: Function<A, R>,
    site: &'static Site,
    lineage: &mut dyn FnMut(&AnyHandle) -> Option<Key>,
) -> Prepared<A, R> {
    let mut plan = Plan { body, how, site, parts: None };
    let mut key = None;
    let mut is_by_content = false;
    if let Keep::Named(name) = &plan.how {
        let parts = part_keys(|visit| arguments.parts(visit), lineage).filter(|_| R::codec().is_some());
        if parts.is_none() {
            plan.tell(
                "use",
                &"the result, or an argument, has no bytes to be known by",
                "the task runs without",
            );
        }
        key = parts.as_ref().and_then(|parts| {
            let all: Option<Vec<Key>> = parts.iter().map(|part| part.ahead()).collect();
            Some(of_call(name, site, type_name::<R>(), all?))
        });
        plan.parts = parts.map(Arc::from);
        is_by_content = key.is_none() && plan.parts.is_some();
    }
    let told = if is_by_content { Told::with_contents } else { Told::silent };
    let arguments = told(arguments);
    let arguments = (Code::new(plan.clone()), arguments);
    Prepared { arguments, key, plan }
}

impl<A: Arg, R: Data> Prepared<A, R> {
    /// What reads the result that seems to be there already.
    pub(crate) fn found(&self) -> Option<impl FnOnce() -> Option<R> + Send + use<A, R>> {
        let (Keep::Named(name), Some(key)) = (&self.plan.how, self.key) else { return None };
        let plan = self.plan.clone();
        shelf::is_there(name, key).then_some(move || plan.restore(Some(key)))
    }
}

impl<A: Arg, R: Data> Plan<A, R> {
    /// The result: found, or made of the arguments.
    pub(crate) fn run(&self, contents: Vec<Option<Encoded>>, arguments: A::Out<'_>) -> Result<R, Cause> {
        let key = self.key(contents);
        if let Some(value) = self.restore(key) {
            return Ok(value);
        }
        let value = (self.body)(arguments)?;
        self.store(key, &value);
        Ok(value)
    }

    /// What the result is known by, when the results among the arguments are there.
    fn key(&self, contents: Vec<Option<Encoded>>) -> Option<Key> {
        let Keep::Named(name) = &self.how else { return None };
        let mut contents = contents.into_iter();
        let parts = self.parts.as_ref()?.iter().map(|part| {
            let content = if matches!(part, PartKey::Known(_)) { None } else { contents.next().flatten() };
            part.ahead().or_else(|| content.as_ref().map(Key::of_value))
        });
        let parts: Option<Vec<Key>> = parts.collect();
        if parts.is_none() {
            self.tell("use", &"the result of an input has no bytes to be known by", "the task runs without");
        }
        let parts = parts?;
        Some(of_call(name, self.site, type_name::<R>(), parts))
    }

    fn restore(&self, key: Option<Key>) -> Option<R> {
        let restored = caught(|| -> Result<Option<R>, Reason> {
            match (&self.how, key) {
                (Keep::Hooks(hooks), _) => hooks.restore(),
                (Keep::Named(name), Some(key)) => Ok(shelf::read(name, key)?),
                (Keep::Named(_), None) => Ok(None),
            }
        });
        match restored.unwrap_or_else(|| Err(PANICKED.into())) {
            Ok(value) => value,
            Err(reason) => {
                self.tell("restore", &reason, "the task runs");
                None
            }
        }
    }

    fn store(&self, key: Option<Key>, value: &R) {
        let stored = caught(|| -> Result<(), Reason> {
            match (&self.how, key) {
                (Keep::Hooks(hooks), _) => hooks.store(value),
                (Keep::Named(name), Some(key)) => Ok(shelf::write(name, key, value)?),
                (Keep::Named(_), None) => Ok(()),
            }
        });
        if let Err(reason) = stored.unwrap_or_else(|| Err(PANICKED.into())) {
            self.tell("keep", &reason, "the result is not kept");
        }
    }

    fn tell(&self, verb: &str, why: &dyn Display, then: &str) {
        let name = match &self.how {
            Keep::Named(name) => format!("checkpoint `{name}`"),
            Keep::Hooks(_) => "the checkpoint".to_owned(),
        };
        let Site { name: task, file, line, .. } = self.site;
        report::tell(format!(
            "poniard: cannot {verb} {name} of task `{task}` ({file}:{line}): {why}; {then}"
        ));
    }
}

/// A hook of the user's, or the code that writes his value, panicked: the panic itself was told.
const PANICKED: &str = "the user's code panicked";

impl<A: Arg, R> Clone for Plan<A, R> {
    fn clone(&self) -> Plan<A, R> {
        Plan { body: self.body, how: self.how.clone(), site: self.site, parts: self.parts.clone() }
    }
}

impl<A: Arg, R> fmt::Debug for Plan<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plan({:?} of {})", self.how, self.site)
    }
}

/// What the result of a task is known by, if its spawn has said so.
pub(crate) fn noted(task: &AnyHandle) -> Option<Key> {
    task.note()?.downcast_ref::<Key>().copied()
}

/// Waits for the result of a task, and takes a copy: large buffers are shared.
pub(crate) fn copy<R: Data>(task: Handle<R>) -> Result<R, Cause> {
    let shared = task.share()?;
    let codec = R::codec().ok_or("what has no bytes has no checkpoint")?;
    Ok(codec.decode(&codec.encode(&shared)?)?)
}
