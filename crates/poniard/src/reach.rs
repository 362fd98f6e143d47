//! Results that may not be used everywhere: those of tasks with a `result_scope`.

use poniard_model::Scope;
use poniard_pool::AnyHandle;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether some task was asked to keep its result in a scope.
static ARE_RESULTS_BOUND: AtomicBool = AtomicBool::new(false);

/// Whether some results may not be used everywhere.
#[inline]
pub(crate) fn are_results_bound() -> bool {
    // Relaxed: whoever has the handle of such a task was given it after this was set.
    ARE_RESULTS_BOUND.load(Ordering::Relaxed)
}

/// From now on some results may not be used everywhere.
pub(crate) fn bind_results() {
    ARE_RESULTS_BOUND.store(true, Ordering::Relaxed);
}

/// Where results may be used that may not be used everywhere, each with whose it is.
pub(crate) fn reaches(inputs: &[AnyHandle]) -> Vec<(String, Scope)> {
    let mut reaches: Vec<(String, Scope)> = Vec::new();
    for input in inputs {
        if let Some(reach) = input.reach()
            && reaches.iter().all(|(_, other)| other != reach)
        {
            reaches.push((format!("the result of `{}`, {}", input.name(), input.id()), reach.clone()));
        }
    }
    reaches
}
