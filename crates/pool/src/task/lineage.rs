//! Lineage: what a task was made of, kept beside its result, so that the result can be made again.

use super::arg::Arg;
use super::extra::Extra;
use super::opened::Spare;
use super::{Body, Identity, TaskRef};
use crate::gate::Gate;
use poniard_model::{ChunkId, Data, Site};
use std::marker::PhantomData;

/// A copy of a task's arguments, with its body.
pub(crate) struct Lineage(Box<dyn Remake>);

trait Remake: Send {
    /// A task of the same arguments and body; `None` when the arguments cannot be copied.
    fn task(&self, site: &'static Site, identity: Identity, extra: Extra) -> Option<TaskRef>;
}

struct Call<A: Arg, R, B> {
    arguments: Spare<A>,
    body: B,
    result: PhantomData<fn() -> R>,
}

impl<A: Arg, R: Data, B: Body<A, R>> Remake for Call<A, R, B> {
    fn task(&self, site: &'static Site, identity: Identity, extra: Extra) -> Option<TaskRef> {
        let arguments = crate::panics::caught(|| self.arguments.spare()).flatten()?;
        Some(TaskRef::new(arguments, self.body, site, identity, Gate::wiring(), Some(Box::new(extra))))
    }
}

impl Lineage {
    pub(super) fn new<A: Arg, R: Data, B: Body<A, R>>(arguments: Spare<A>, body: B) -> Lineage {
        Lineage(Box::new(Call { arguments, body, result: PhantomData }))
    }
}

impl TaskRef {
    /// Whether the result can be made again.
    pub(crate) fn has_lineage(&self) -> bool {
        self.extra().is_some_and(|extra| extra.lineage().is_some())
    }

    /// A task that makes the result of this one again, not launched yet; `None` when the arguments cannot be copied.
    pub(crate) fn again(&self, chunk: ChunkId, identity: Identity) -> Option<TaskRef> {
        let extra = self.extra()?;
        let lineage = extra.lineage();
        lineage.as_ref()?.0.task(self.site, identity, extra.again(chunk))
    }
}
