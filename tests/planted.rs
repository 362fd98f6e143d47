//! Plants a bug in this thread: part of the own tests of the crates that have some, which show that their laws find each of them.

use std::cell::Cell;
use std::panic::catch_unwind;
use std::time::Instant;

thread_local! {
    static PLANTED: Cell<&'static str> = const { Cell::new("") };
}

/// Whether it is this one that is planted here.
pub(crate) fn is(bug: &str) -> bool {
    PLANTED.get() == bug
}

/// A bug, the name of a law, and the law: it holds without the bug, and panics with it.
pub(crate) type Hunt = (&'static str, &'static str, fn());

/// Each bug is found by its law. The lines that this prints are read by `cargo xtask planted`.
pub(crate) fn assert_each_is_found(hunts: &[Hunt]) {
    let mut missed = Vec::new();
    for (bug, name, law) in hunts {
        let began = Instant::now();
        PLANTED.set(bug);
        let found = catch_unwind(law).is_err();
        PLANTED.set("");
        if found {
            println!("planted {bug}: found by {name} in {} ms", began.elapsed().as_millis());
        } else {
            missed.push(bug);
        }
    }
    assert!(missed.is_empty(), "planted and not found: {missed:?}");
}
