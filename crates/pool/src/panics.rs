//! Panics of tasks: caught, with their message and place.

use poniard_model::Cause;
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Where the last panic of this thread began, told by the hook.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics tell their place. What the program's own hook does with them, it still does.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map(ToString::to_string);
            // A thread that is ending has no place to keep it; the message still tells.
            let _ = PLACE.try_with(|slot| slot.replace(place));
            before(panic);
        }));
    });
}

/// The cause of a failure, from what `catch_unwind` caught.
#[cold]
pub fn cause(payload: Box<dyn Any + Send>) -> Cause {
    let place = PLACE.try_with(|slot| slot.take()).ok().flatten();
    let cause = Cause::panicked(&*payload, place);
    contain(|| drop(payload));
    cause
}

/// Runs a destructor of the user's; a panic in it is reported by the panic hook and goes no further.
pub(crate) fn contain(work: impl FnOnce()) {
    let _ = caught(work);
}

/// Runs code of the user's; `None` when it panics.
pub fn caught<R>(work: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => Some(result),
        Err(payload) => {
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                // What its own destructor threw is given up.
                std::mem::forget(again);
            }
            None
        }
    }
}
