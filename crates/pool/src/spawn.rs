//! Making tasks.

use crate::engine::launch::{launch, launch_held};
use crate::engine::promise::{HandOver, Starter};
use crate::engine::{cancel, context, guest};
use crate::gate::Gate;
use crate::panics;
use crate::task::arg::Arg;
use crate::task::extra::Extra;
use crate::task::handle::{AnyHandle, Handle};
use crate::task::told::Part;
use crate::task::{Body, CANCELLED, Call, Function, TaskRef};
use poniard_model::{Data, Site};
use std::sync::atomic::{Ordering, fence};

/// Spawns a task: `body` runs with the opened `arguments` once all their inputs have ended well.
#[inline]
pub fn spawn<A: Arg, R: Data>(arguments: A, body: Function<A, R>, site: &'static Site) -> Handle<R> {
    let context = context::get();
    let gate = if A::WAITS { Gate::wiring() } else { Gate::ready() };
    let task = TaskRef::new(arguments, Call(body), site, context.new_identity(), gate, None);
    launch(context, &task, A::WAITS);
    Handle::from_task(task)
}

/// Spawns a task that asks for more than its function and its arguments.
pub fn spawn_with<A: Arg, R: Data>(
    arguments: A,
    body: Function<A, R>,
    site: &'static Site,
    extra: Extra,
) -> Handle<R> {
    launched(arguments, Call(body), site, extra)
}

/// Spawns a task whose function hands the work to somebody else. It holds no processor while that works.
pub fn spawn_detached<A: Arg, R: Data>(
    arguments: A,
    body: Starter<A, R>,
    site: &'static Site,
    extra: Extra,
) -> Handle<R> {
    launched(arguments, HandOver(body), site, extra)
}

fn launched<A: Arg, R: Data>(
    arguments: A,
    body: impl Body<A, R>,
    site: &'static Site,
    extra: Extra,
) -> Handle<R> {
    let context = context::get();
    let task =
        TaskRef::new(arguments, body, site, context.new_identity(), Gate::wiring(), Some(Box::new(extra)));
    launch(context, &task, true);
    Handle::from_task(task)
}

/// A value as the result of a task that has ended: what is made without a task.
pub fn put<R: Data>(value: R, site: &'static Site) -> Handle<R> {
    let task = TaskRef::with_value(value, site, context::get().new_identity());
    guest::end(&task);
    Handle::from_task(task)
}

/// A task that was made and is not launched: it hangs on nothing yet, and does not run. Dropped, it is cancelled.
#[derive(Debug)]
#[must_use = "a held task runs when it is launched"]
pub struct Held {
    task: Option<TaskRef>,
    /// Whether somebody else may end the task while it runs: then it has an extra, where the first to end it is told.
    is_detached: bool,
}

/// Makes a task that is launched later.
pub fn hold<A: Arg, R: Data>(arguments: A, body: Function<A, R>, site: &'static Site) -> (Handle<R>, Held) {
    held(arguments, Call(body), site)
}

/// Makes a task that is launched later, and whose function hands the work to somebody else.
pub fn hold_detached<A: Arg, R: Data>(
    arguments: A,
    body: Starter<A, R>,
    site: &'static Site,
) -> (Handle<R>, Held) {
    held(arguments, HandOver(body), site)
}

fn held<A: Arg, R: Data, B: Body<A, R>>(arguments: A, body: B, site: &'static Site) -> (Handle<R>, Held) {
    let identity = context::get().new_identity();
    let task = TaskRef::new(arguments, body, site, identity, Gate::held(), None);
    let held = Held { task: Some(task.clone()), is_detached: B::DETACHES };
    (Handle::from_task(task), held)
}

impl Held {
    /// Launches the task. `extra` is what it asks for beyond its function and its arguments.
    pub fn launch(mut self, extra: Option<Extra>) {
        if let Some(task) = self.task.take() {
            let extra = extra.or_else(|| self.is_detached.then(Extra::default));
            launch_held(&task, extra.map(Box::new));
        }
    }

    /// Tells what the arguments of the task are; opaque when it was cancelled.
    pub fn parts(&self, visit: &mut dyn FnMut(Part)) {
        let task = self.task.as_ref().expect("it goes with `launch` only");
        // As if it were launched: meanwhile a cancel leaves the arguments alone.
        if !task.gate.launch() {
            return visit(Part::Opaque);
        }
        // SAFETY: nobody else opens, drops or wires the arguments of a task whose gate is wiring.
        panics::contain(|| unsafe { task.parts(visit) });
        task.gate.hold();
        // A cancel that came meanwhile has left its mark and nothing else. SeqCst: pairs with the fence in `cancel`.
        fence(Ordering::SeqCst);
        if task.flags() & CANCELLED != 0 {
            cancel(task);
        }
    }

    /// A handle of the task.
    pub fn handle(&self) -> AnyHandle {
        AnyHandle::new(self.task.clone().expect("it goes with `launch` only"))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            cancel(&task);
            // SAFETY: a held task's engine's reference is nobody's until it is launched, and now it will not be.
            drop(unsafe { TaskRef::from_raw(task.as_raw()) });
        }
    }
}
