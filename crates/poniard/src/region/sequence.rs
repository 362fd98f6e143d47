//! A region that orders its tasks one after the other.

use super::{Caught, Form, Region, enter};
use poniard_model::Site;
use poniard_pool::AnyHandle;
use std::cell::RefCell;
use std::rc::Rc;

/// Calls `work`; each task that it spawns on this thread starts after the one before has ended.
///
/// Tasks are submitted at once, so they may be fetched inside. When one fails, the later ones fail. A
/// [`spawn_bulk`](crate::spawn_bulk) inside counts as one step, whose tasks run side by side.
///
/// ```
/// use poniard::prelude::*;
/// use std::sync::{Arc, Mutex};
/// let order = Arc::new(Mutex::new(Vec::new()));
/// let last = spawn_sequential(|| {
///     let note = |i| { let order = order.clone(); spawn!(move || order.lock().unwrap().push(i)) };
///     note(1);
///     note(2);
///     note(3)
/// });
/// last.wait();
/// assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
/// ```
pub fn spawn_sequential<R>(work: impl FnOnce() -> R) -> R {
    enter(Rc::new(Sequence::default()), work)
}

#[derive(Default)]
struct Sequence {
    /// What the next step waits for.
    last: RefCell<Option<AnyHandle>>,
}

impl Region for Sequence {
    fn catch(&self, mut group: Vec<Caught>, outwards: &dyn Fn(Vec<Caught>)) {
        if group.is_empty() {
            return;
        }
        let last = self.last.borrow_mut().take();
        if let Some(last) = last {
            group.iter_mut().for_each(|caught| caught.after(std::slice::from_ref(&last)));
        }
        let step: Vec<AnyHandle> = group.iter().map(|caught| caught.held.handle()).collect();
        // One task that ends after all of the step keeps a step of n after one of m at n + m edges, not n times m.
        let end = match step.as_slice() {
            [only] => only.clone(),
            several => {
                let mut end = step_end();
                end.after(several);
                let handle = end.held.handle();
                group.push(end);
                handle
            }
        };
        *self.last.borrow_mut() = Some(end);
        outwards(group);
    }
}

fn step_end() -> Caught {
    static SITE: Site = Site::new("end of a step", file!(), line!());
    let (_, held) = poniard_pool::hold((), |()| Ok(()), &SITE);
    Caught { held, extra: None, form: Form::Function }
}
