//! Who is there: the workers and processors that this process knows of.

use poniard_model::Topology;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

static DIRECTORY: Mutex<Option<Arc<Topology>>> = Mutex::new(None);

/// The topology, kept from changing while this is held; `None` while no runtime runs.
pub fn lock() -> MutexGuard<'static, Option<Arc<Topology>>> {
    DIRECTORY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes the topology of the runtime, if one runs.
#[cfg(feature = "cluster")]
pub(crate) fn change(work: impl FnOnce(&mut Topology)) {
    if let Some(topology) = &mut *lock() {
        work(Arc::make_mut(topology));
    }
}
