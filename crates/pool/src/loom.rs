//! The protocols under loom, which plays every interleaving of a few threads and every value that the orderings let a
//! load see: `RUSTFLAGS="--cfg loom" cargo test -p poniard-pool --release --lib loom`.
//!
//! What the protocols guard is put into loom's cells: a race for it, or a missing ordering, is then a failure too.

mod deque;
mod edge;
mod gate;
mod sleep;
mod slot;
mod task;
mod turns;

use loom::cell::UnsafeCell;
use loom::model::Builder;

/// Plays every interleaving.
fn play(model: impl Fn() + Send + Sync + 'static) {
    loom::model(model);
}

/// Plays the interleavings with at most this many switches away from a thread that could go on.
fn play_bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Something that only one party may touch at a time, and that counts how often it was changed.
#[derive(Debug)]
struct Guarded(UnsafeCell<u32>);

// SAFETY: loom fails the test when two threads touch it without order.
unsafe impl Send for Guarded {}
// SAFETY: as above.
unsafe impl Sync for Guarded {}

impl Guarded {
    fn new() -> Guarded {
        Guarded(UnsafeCell::new(0))
    }

    fn change(&self) {
        self.0.with_mut(|count| {
            // SAFETY: loom has checked that nobody else is at it.
            unsafe { *count += 1 };
        });
    }

    fn count(&self) -> u32 {
        self.0.with(|count| {
            // SAFETY: loom has checked that nobody changes it.
            unsafe { *count }
        })
    }
}
