//! A task is found again while somebody keeps it, and never after.

use super::counted::{Counted, none_left};
use super::*;
use crate::promise;
use std::sync::atomic::AtomicIsize;

#[test]
fn a_task_is_found_while_somebody_keeps_it() {
    let _pool = together();
    static ALIVE: AtomicIsize = AtomicIsize::new(0);
    let (kept, completion) = promise::<Counted>(&SITE);
    let weak = kept.downgrade();
    completion.finish(Ok(Counted::new(&ALIVE)));
    let found = weak.upgrade().expect("it is kept");
    drop(kept);
    assert!(found.get().is_ok());
    let other = weak.clone();
    drop(found);
    none_left(&ALIVE);
    assert!(weak.upgrade().is_none() && other.upgrade().is_none());
}

#[test]
fn finding_and_dropping_at_once_never_touch_a_task_that_is_gone() {
    let _pool = together();
    static ALIVE: AtomicIsize = AtomicIsize::new(0);
    for _ in 0..2_000 {
        let (kept, completion) = promise::<Counted>(&SITE);
        completion.finish(Ok(Counted::new(&ALIVE)));
        let weak = kept.downgrade();
        std::thread::scope(|scope| {
            let looks = || weak.upgrade().map(|found| found.get().is_ok());
            scope.spawn(move || drop(kept));
            let other = scope.spawn(looks);
            assert_ne!(looks(), Some(false));
            assert_ne!(other.join().expect("it only looks"), Some(false));
        });
        assert!(weak.upgrade().is_none());
    }
    none_left(&ALIVE);
}
