//! Data of other processes, of which handles are here: which ones there are, and which of them are lost.
//!
//! A handle of the same datum that comes again is the same handle, as long as there is one: so all tasks of this process that use
//! the datum stand in one queue.

use crate::border::{Border, Origin};
use poniard_model::{Cause, TaskError, WorkerId};
use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// What stands here for a datum of another process.
pub(crate) struct Foreign {
    origin: Origin,
    /// Why the datum is no more.
    lost: OnceLock<TaskError>,
    _ticket: Ticket,
}

/// One handle that came; its drop tells that it is gone.
pub(crate) struct Ticket {
    origin: Origin,
    border: Arc<dyn Border>,
}

/// The data of other processes of which handles are here.
#[derive(Default)]
pub(crate) struct Known {
    data: HashMap<Origin, Entry>,
    /// The workers that are gone, and what became of them: handles of their data may still come from others.
    gone: HashMap<WorkerId, Arc<str>>,
}

struct Entry {
    foreign: Weak<Foreign>,
    /// The datum, which whoever finds it knows the type of, and does not keep.
    datum: Box<dyn Any + Send>,
}

/// What became of data whose worker is there.
pub(super) const UNCOUNTED: &str = "the last handle of them that counted went with another worker";

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Known>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks something up, or adds it. Nothing that is the last of its kind may be dropped in `work`.
pub(crate) fn with_known<R>(work: impl FnOnce(&mut Known) -> R) -> R {
    work(lock().get_or_insert_default())
}

impl Known {
    /// What stands for the datum, if something does.
    pub(crate) fn find(&self, origin: Origin) -> Option<&(dyn Any + Send)> {
        self.data.get(&origin).map(|entry| &*entry.datum)
    }

    /// From now on this stands for the datum.
    pub(crate) fn add(&mut self, foreign: &Arc<Foreign>, datum: Box<dyn Any + Send>) {
        if let Some(how) = self.gone.get(&foreign.origin.owner) {
            foreign.lose(how);
        }
        self.data.insert(foreign.origin, Entry { foreign: Arc::downgrade(foreign), datum });
    }

    /// Those that stand for data of which `is_meant` is true.
    fn those(&self, is_meant: impl Fn(&Origin) -> bool) -> Vec<Arc<Foreign>> {
        let meant = self.data.iter().filter(|(origin, _)| is_meant(origin));
        meant.filter_map(|(_, entry)| entry.foreign.upgrade()).collect()
    }
}

/// A worker is gone with its data: this became of it.
pub fn lose_data(owner: WorkerId, how: &str) {
    let lost = with_known(|known| {
        known.gone.insert(owner, how.into());
        known.those(|origin| origin.owner == owner)
    });
    // Outside of the lock: one of them may be the last reference by now.
    lost.iter().for_each(|foreign| foreign.lose(how));
}

/// A datum is no more, though its worker is there.
pub fn lose_datum(origin: Origin) {
    let lost = with_known(|known| known.those(|other| *other == origin));
    lost.iter().for_each(|foreign| foreign.lose(UNCOUNTED));
}

/// What comes from now on are data of others than came before: the processes of before are gone.
pub(crate) fn forget() {
    let known = lock().take();
    let lost = known.map(|known| known.those(|_| true)).unwrap_or_default();
    lost.iter().for_each(|foreign| foreign.lose("the cluster was stopped"));
}

impl Foreign {
    pub(crate) fn new(origin: Origin, ticket: Ticket) -> Arc<Foreign> {
        Arc::new(Foreign { origin, lost: OnceLock::new(), _ticket: ticket })
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// Why the datum is no more, if it is not.
    pub(crate) fn lost(&self) -> Option<&TaskError> {
        self.lost.get()
    }

    pub(super) fn lose(&self, how: &str) {
        let cause = Cause::state_lost(self.origin.owner, how);
        // Whatever was said first stays.
        let _ = self.lost.set(TaskError::without_task(cause));
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(known) = lock().as_mut()
            && known.data.get(&self.origin).is_some_and(|entry| std::ptr::eq(entry.foreign.as_ptr(), self))
        {
            known.data.remove(&self.origin);
        }
    }
}

impl Ticket {
    pub(crate) fn new(origin: Origin, border: Arc<dyn Border>) -> Ticket {
        Ticket { origin, border }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.border.dropped(self.origin);
    }
}
