//! Tasks that come from another process: to this one they are like its own, but for their result, which goes back as bytes.

use super::context::{self, Counts};
use super::finish;
use super::launch::launch;
use crate::task::extra::Extra;
use crate::task::handle::AnyHandle;
use crate::task::parcel::{Arrival, Entry, Piece, Unmovable};
use crate::task::{HOME, TaskRef};
use poniard_model::codec::Encoded;
use poniard_model::{Site, TaskError, TaskId};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// A call that has arrived.
pub struct Visit {
    /// Its number in the process that it came from.
    pub task: TaskId,
    /// The address of the task's function, here.
    pub body: usize,
    /// Where it was spawned.
    pub site: &'static Site,
    /// What the task asks for.
    pub extra: Extra,
    /// What the arguments are, in their order.
    pub pieces: VecDeque<Piece>,
    /// Told of the task's end, once, with how long it ran; on the thread that ends it, so it must be short.
    pub reply: Reply,
}

/// Takes the outcome of a task that came from another process.
pub type Reply = Box<dyn FnOnce(Duration, Outcome) + Send>;

/// How a task ended that came from another process.
#[derive(Debug)]
pub enum Outcome {
    /// With this value.
    Made(Encoded),
    /// With a value that cannot leave this process, for this reason.
    Stays(String),
    /// With this error.
    Failed(TaskError),
}

/// Launches a task that has arrived, by the entry at this address.
///
/// # Errors
/// When the arguments cannot be read.
///
/// # Safety
/// The entry's address and the visit's body were in one parcel, which a process of this same build has packed, with the
/// pieces; and they are where that code lies here.
pub unsafe fn host(entry: usize, visit: Visit) -> Result<AnyHandle, Unmovable> {
    let Visit { task, body, site, mut extra, pieces, reply } = visit;
    extra.guest = Some(task);
    let context = context::get();
    let identity = || context.new_identity();
    let extra = Box::new(extra);
    let arrival = Arrival { body, site, extra, pieces, identity: &identity, end: &end };
    // SAFETY: the caller's promise.
    let task = unsafe { Entry::make(entry, arrival) }?;
    // Whoever has sent it here decides whether it goes on.
    task.set_flags(HOME);
    launch(context, &task, true);
    let handle = AnyHandle::new(task);
    let ended = handle.clone();
    handle.on_end(move || reply(ended.since_begun().unwrap_or_default(), outcome(&ended)));
    Ok(handle)
}

/// Ends a task whose value is in its slot, which nobody knows yet.
pub(crate) fn end(task: &TaskRef) {
    // SAFETY: the engine's reference of a new task is nobody's yet.
    let engines = unsafe { TaskRef::from_raw(task.as_raw()) };
    Counts::add_one(&context::get().counts.done);
    let next = finish::done(engines);
    debug_assert!(next.is_none(), "nobody waits for a new value");
}

/// What a task that has ended has made.
fn outcome(handle: &AnyHandle) -> Outcome {
    if let Some(error) = handle.error() {
        return Outcome::Failed(error.clone());
    }
    let product = handle.task().extra().and_then(Extra::take_product);
    match product.expect("a guest that has ended well has made something") {
        Ok(value) => Outcome::Made(value),
        Err(error) => Outcome::Stays(error.to_string()),
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit")
            .field("site", &self.site)
            .field("pieces", &self.pieces)
            .finish_non_exhaustive()
    }
}
