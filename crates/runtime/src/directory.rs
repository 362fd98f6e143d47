//! Who is there: the workers and processors that this process knows of.

use poniard_model::{Topology, WorkerId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

static DIRECTORY: Mutex<Option<Arc<Topology>>> = Mutex::new(None);

/// The topology, kept from changing while this is held; `None` while no runtime runs.
pub fn lock() -> MutexGuard<'static, Option<Arc<Topology>>> {
    DIRECTORY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The machine of a worker, its labels, and how many processors it has; `None` of one that is not there.
pub fn of(worker: WorkerId) -> Option<(String, Vec<String>, u32)> {
    let topology = lock();
    let topology = topology.as_ref()?;
    let known = topology.worker(worker)?;
    Some((known.node.clone(), known.labels.clone(), topology.processors_of(worker).len() as u32))
}

/// What became of a worker that is gone, as far as that is remembered.
#[cfg(feature = "cluster")]
pub(crate) fn fate_of(worker: WorkerId) -> Option<String> {
    let topology = lock();
    let gone = topology.as_ref()?.gone.iter().find(|(other, _)| *other == worker)?;
    Some(gone.1.clone())
}

/// Changes the topology of the runtime, if one runs.
#[cfg(feature = "cluster")]
pub(crate) fn change(work: impl FnOnce(&mut Topology)) {
    if let Some(topology) = &mut *lock() {
        work(Arc::make_mut(topology));
    }
}
