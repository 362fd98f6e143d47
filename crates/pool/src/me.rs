//! Which worker this process is.

use poniard_model::WorkerId;
use std::sync::atomic::{AtomicU32, Ordering};

static ME: AtomicU32 = AtomicU32::new(WorkerId::FIRST.0);

/// Which worker this process is.
pub fn me() -> WorkerId {
    // Relaxed, here and below: it is set before there is anybody to ask.
    WorkerId(ME.load(Ordering::Relaxed))
}

/// Says which worker this process is; before its first task.
pub fn set_me(me: WorkerId) {
    ME.store(me.0, Ordering::Relaxed);
}
