//! Handles that cross to other processes, inside the values that hold them.
//!
//! There such a handle is one of a task that nothing runs there: it ends when the owner of the real one has told how that ended.
//! The owner is asked when somebody here needs that, for the first time: a fetch, a look, a task that reads it. A cancel is the
//! owner's to carry out, and how it ended is asked for then. A handle of the same task that comes again is the same handle, as long
//! as there is one. Data cross in the same way: what stands for them there is `task/foreign`.

use crate::border::{Border, Ender, Origin};
use crate::engine::context;
use crate::engine::promise::{Completion, unasked_promise};
use crate::spawn::spawn_with;
use crate::task::TaskRef;
use crate::task::arg::Value;
use crate::task::datum::Datum;
use crate::task::erased::AsBytes;
use crate::task::extra::Extra;
use crate::task::foreign;
use crate::task::handle::{AnyHandle, Handle};
use crate::task::parcel::Homecoming;
use crate::task::passage::DatumTraveller;
use crate::task::promised::{Absent, Meets, Promised};
use crate::task::ticket::{Ticket, ask_for};
use crate::task::traveller::{Told, Traveller};
use crate::task::weak;
use poniard_model::{Cause, Data, Pinned, Site, TaskError, TaskId, WorkerId};
use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A handle that has come from another process: whoever reads it knows its type.
pub struct Stranger {
    origin: Origin,
    name: Arc<str>,
    /// Until it is met, and goes with the handle.
    ticket: Mutex<Option<Passage>>,
}

/// One handle that came; its drop tells that it is gone.
struct Passage {
    origin: Origin,
    /// The task that stands for it here.
    task: Option<TaskId>,
    border: Arc<dyn Border>,
    /// What reads its result, from when it is met.
    homecoming: Option<Homecoming>,
    /// Whether its owner was asked how it ends.
    is_asked: AtomicBool,
}

/// The handles of other processes' tasks that are here.
#[derive(Default)]
struct Known {
    /// The task that stands for each, and the type of its result.
    handles: HashMap<Origin, (TaskId, TypeId)>,
    origins: HashMap<TaskId, Origin>,
}

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Known>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the task comes from of which a handle is here; `None` for a task of this process.
pub fn origin_of(task: TaskId) -> Option<Origin> {
    lock().as_ref()?.origins.get(&task).copied()
}

/// What comes from now on are handles of others than came before: the processes of before are gone.
pub fn forget_strangers() {
    *lock() = None;
    foreign::forget();
}

impl<T: Send + Sync + 'static> Datum<T> {
    /// This datum, to travel beside the bytes of the value that holds it.
    pub fn traveller(&self) -> DatumTraveller {
        DatumTraveller::of(self, || context::get().number())
    }
}

impl<T: Data> Handle<T> {
    /// This handle, to travel beside the bytes of the value that holds it.
    pub fn traveller(&self) -> Traveller {
        Traveller::with(self, |handle, told| {
            let handle = handle.downcast_ref::<Handle<T>>().expect("it was put in as one");
            tell(AsBytes::of(handle.clone()), told);
        })
    }
}

/// Where what takes a result is until it is called.
type Reply = Pinned<Arc<Mutex<Option<Told>>>>;

fn take(reply: &Reply) -> Option<Told> {
    reply.0.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Has the result told by a task of its own, beside those that have the processors: another process waits for it.
fn tell(result: AsBytes, told: Told) {
    static SITE: Site = Site::new("send a result", file!(), line!());
    let reply: Reply = Pinned(Arc::new(Mutex::new(Some(told))));
    let mut extra = Extra::default();
    extra.stays = true;
    extra.demand.share = 0;
    let arguments = (result, Value::new(Pinned(reply.0.clone())));
    let task: Handle<()> = spawn_with(
        arguments,
        |(encoded, reply)| {
            if let Some(told) = take(&reply) {
                told(encoded.map_err(|error| TaskError::without_task(Cause::scheduling(error.to_string()))));
            }
            Ok(())
        },
        &SITE,
        extra,
    );
    let task = task.erase();
    let ended = task.clone();
    task.on_end(move || {
        if let (Some(told), Some(error)) = (take(&reply), ended.error()) {
            told(Err(error.clone()));
        }
    });
}

impl AnyHandle {
    /// Has a result that may be large told as bytes when it is there, by a task of its own: it may have to be read from disk.
    ///
    /// # Panics
    /// When values of the result's type hold no memory outside of themselves.
    pub fn tell_large(&self, told: Told) {
        tell(AsBytes::of_large(self.task().clone()), told);
    }
}

/// Asks for all results of a worker's tasks of which there are handles here: it goes.
pub fn ask_all_of(owner: WorkerId) {
    let known: Vec<TaskId> = lock().iter().flat_map(|known| known.of(owner)).collect();
    for task in known.into_iter().filter_map(weak::find) {
        ask_for(&task);
    }
}

impl Known {
    /// The tasks here that stand for those of a worker.
    fn of(&self, owner: WorkerId) -> impl Iterator<Item = TaskId> {
        let is_its = move |(origin, _): &(&Origin, _)| origin.owner == owner;
        self.handles.iter().filter(is_its).map(|(_, (task, _))| *task)
    }
}

impl Ticket for Passage {
    fn ask(&self, task: &TaskRef) {
        if let Some(homecoming) = self.homecoming
            && !self.is_asked.swap(true, Ordering::Relaxed)
        {
            let completion = Completion::<()>::asked(task.clone());
            let end = move |told| {
                // SAFETY: the task was made with that, see `Promised`.
                unsafe { completion.finish_as(homecoming, told) }
            };
            self.border.wants(self.origin, Ender::new(end));
        }
    }

    fn cancel(&self, task: &TaskRef) {
        self.border.cancels(self.origin);
        // How it ended is the owner's to say.
        self.ask(task);
    }
}

impl Stranger {
    /// A handle of this task that has come, and counts as one until `border` is told that it is dropped.
    pub fn new(origin: Origin, name: Arc<str>, border: Arc<dyn Border>) -> Stranger {
        let is_asked = AtomicBool::new(false);
        let ticket = Passage { origin, task: None, border, homecoming: None, is_asked };
        Stranger { origin, name, ticket: Mutex::new(Some(ticket)) }
    }

    /// The handle of a task whose result is a `T`; the same as before if there is one. `None` when it is of another type.
    pub fn meet<T: Data>(&self) -> Option<Handle<T>> {
        Meets::meet(self, Promised::of::<T>()).map(Handle::from_task)
    }
}

impl From<Stranger> for Absent {
    fn from(stranger: Stranger) -> Absent {
        Absent(Box::new(stranger))
    }
}

impl Meets for Stranger {
    fn meet(&self, promised: Promised) -> Option<TaskRef> {
        static SITE: Site = Site::new("task of another worker", file!(), line!());
        let mut locked = lock();
        let known = locked.get_or_insert_default();
        if let Some((task, of)) = known.handles.get(&self.origin) {
            if *of != promised.of {
                return None;
            }
            if let Some(task) = weak::find(*task) {
                return Some(task);
            }
        }
        let mut ticket = self.ticket.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let border = ticket.border.clone();
        let mut extra = Extra::default();
        extra.name = Some(self.name.clone());
        let task = unasked_promise(&SITE, extra, promised, |task| {
            (ticket.task, ticket.homecoming) = (Some(task), Some(promised.homecoming));
            Arc::new(ticket)
        });
        weak::mark(&task);
        known.origins.insert(task.id(), self.origin);
        known.handles.insert(self.origin, (task.id(), promised.of));
        drop(locked);
        // After it is known: who says that the worker goes asks for all that are.
        if border.is_urgent(self.origin.owner) {
            ask_for(&task);
        }
        Some(task)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if let Some(task) = self.task
            && let Some(known) = lock().as_mut()
        {
            known.origins.remove(&task);
            if known.handles.get(&self.origin).is_some_and(|(last, _)| *last == task) {
                known.handles.remove(&self.origin);
            }
        }
        self.border.dropped(self.origin);
    }
}

impl fmt::Debug for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stranger({:?})", self.origin)
    }
}
