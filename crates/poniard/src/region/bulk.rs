//! A region that holds its tasks back and lets them out together.

use super::{Caught, Region, enter, submit};
use poniard_pool::Holding;
use std::cell::RefCell;
use std::rc::Rc;

/// Calls `work`; the tasks that it spawns on this thread are submitted together when it returns.
///
/// The tasks may depend on each other. To fetch one of them inside is an error, because it is not submitted yet. When
/// `work` panics, they are cancelled. Inside [`spawn_sequential`](crate::spawn_sequential) the tasks of one
/// `spawn_bulk` run side by side, and such groups one after the other.
///
/// ```
/// use poniard::prelude::*;
/// let tasks: Vec<DTask<i32>> = spawn_bulk(|| (0..4).map(|i| spawn!((|x| x * x)(i))).collect());
/// assert_eq!(fetch_all(&tasks)?, [0, 1, 4, 9]);
/// # Ok::<(), TaskError>(())
/// ```
pub fn spawn_bulk<R>(work: impl FnOnce() -> R) -> R {
    let bulk = Rc::new(Bulk::default());
    let holding = Holding::begin();
    let value = enter(bulk.clone(), work);
    drop(holding);
    submit(bulk.group.take());
    value
}

#[derive(Default)]
struct Bulk {
    group: RefCell<Vec<Caught>>,
}

impl Region for Bulk {
    fn catch(&self, group: Vec<Caught>, _: &dyn Fn(Vec<Caught>)) {
        self.group.borrow_mut().extend(group);
    }
}
