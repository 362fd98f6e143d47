//! Tasks that nothing runs here: another process ends them, or the program does.

use super::extra::Extra;
use super::parcel::Homecoming;
use super::{Call, Identity, TaskRef};
use crate::gate::Gate;
use poniard_model::{Data, Site};
use std::any::TypeId;
use std::fmt;

impl TaskRef {
    /// A task whose result is an `R` and which nothing runs, with two references as from [`TaskRef::new`].
    pub(crate) fn promise<R: Data>(site: &'static Site, identity: Identity, extra: Extra) -> TaskRef {
        let body: Call<(), R> = Call(|()| unreachable!("a promise is not run"));
        TaskRef::new((), body, site, identity, Gate::external(), Some(Box::new(extra)))
    }
}

/// Such a task as another process ends it, by the type of its result.
#[derive(Clone, Copy)]
pub(crate) struct Promised {
    pub(crate) of: TypeId,
    pub(crate) make: fn(&'static Site, Identity, Extra) -> TaskRef,
    pub(crate) homecoming: Homecoming,
}

impl Promised {
    pub(crate) fn of<R: Data>() -> Promised {
        Promised { of: TypeId::of::<R>(), make: TaskRef::promise::<R>, homecoming: Homecoming::of::<R>() }
    }
}

/// What another process has, and is met here as a task that it ends.
pub(crate) trait Meets: Send + Sync {
    /// The task; `None` when its result is of another type.
    fn meet(&self, promised: Promised) -> Option<TaskRef>;
}

/// The result of a task that is with another process.
pub struct Absent(pub(crate) Box<dyn Meets>);

impl fmt::Debug for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Absent")
    }
}
