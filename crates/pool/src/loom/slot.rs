//! A kept value: read by whoever has it pinned, moved by whoever the slot tells to, dropped once.

use super::*;
use crate::task::kept::slot::{Next, Slot};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// A value and its slot, as the table has them: none once it is freed.
struct Kept {
    slot: Mutex<Option<Slot>>,
    value: Guarded,
    freed: AtomicU32,
    taken: AtomicU32,
}

impl Kept {
    fn new() -> Arc<Kept> {
        Arc::new(Kept {
            slot: Mutex::new(Some(Slot::new())),
            value: Guarded::new(),
            freed: AtomicU32::new(0),
            taken: AtomicU32::new(0),
        })
    }

    /// Changes the slot and does what follows, as `kept::change` does.
    fn change(&self, change: impl FnOnce(&mut Slot) -> Next) {
        let mut table = self.slot.lock().unwrap();
        let Some(slot) = &mut *table else { return };
        match change(slot) {
            Next::Nothing => {}
            Next::MoveOut => self.value.change(),
            Next::Free => {
                *table = None;
                drop(table);
                self.value.change();
                self.freed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn evict(&self) {
        self.change(Slot::evict);
    }

    fn restore(&self) {
        let mut table = self.slot.lock().unwrap();
        if table.as_mut().is_some_and(Slot::restore) {
            self.value.change();
        }
    }

    fn pin(&self) -> bool {
        self.slot.lock().unwrap().as_mut().is_some_and(Slot::pin)
    }

    fn read(&self) {
        if self.pin() {
            self.value.count();
            self.change(Slot::unpin);
        }
    }

    /// Reads the value, and takes it if nobody else reads it.
    fn take(&self) {
        if !self.pin() {
            return;
        }
        let is_free = self.slot.lock().unwrap().as_mut().is_some_and(Slot::take);
        if is_free {
            self.value.change();
            self.taken.fetch_add(1, Ordering::Relaxed);
        } else {
            self.value.count();
        }
        self.change(Slot::unpin);
    }

    /// The last handle goes.
    fn free(&self) {
        self.change(|slot| {
            slot.orphan();
            slot.free()
        });
    }
}

fn beside(kept: &Arc<Kept>, work: fn(&Kept)) -> thread::JoinHandle<()> {
    let kept = kept.clone();
    thread::spawn(move || work(&kept))
}

#[test]
fn a_value_that_leaves_and_comes_back_against_two_readers() {
    play_bounded(3, || {
        let kept = Kept::new();
        let readers = [beside(&kept, Kept::read), beside(&kept, Kept::read)];
        kept.evict();
        kept.restore();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        // Whether it was to leave with the last reader or has come back before: it is there.
        assert!(kept.pin());
    });
}

#[test]
fn the_only_reader_takes_the_value_against_another_one_and_an_eviction() {
    play_bounded(3, || {
        let kept = Kept::new();
        let others = [beside(&kept, Kept::read), beside(&kept, Kept::evict)];
        kept.take();
        others.into_iter().for_each(|other| other.join().unwrap());
        kept.restore();
        let was_taken = kept.taken.load(Ordering::Relaxed) == 1;
        assert_eq!(kept.pin(), !was_taken, "what was taken does not come back");
    });
}

#[test]
fn a_value_is_freed_once_against_a_reader_and_an_eviction() {
    play_bounded(3, || {
        let kept = Kept::new();
        let others = [beside(&kept, Kept::read), beside(&kept, Kept::evict)];
        kept.free();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(kept.freed.load(Ordering::Relaxed), 1);
    });
}
