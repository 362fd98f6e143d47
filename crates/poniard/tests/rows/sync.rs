//! `sync`: a block that ends when its tasks have ended.

use crate::alone::alone;
use crate::signals::{Gate, Meeting, Notes};
use poniard::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A task that fails: its message tells which.
fn fails(which: &str) -> DTask<i64> {
    fn failing(which: String) -> i64 {
        panic!("number {which}")
    }
    spawn!(failing(which.to_owned()))
}

#[test]
fn a10_sync_waits_for_every_spawn_in_it() {
    let ended = Arc::new(AtomicUsize::new(0));
    let last = sync(|| {
        for _ in 0..5000 {
            let ended = ended.clone();
            spawn!(move || ended.fetch_add(1, Ordering::SeqCst));
        }
        "the value of the block"
    });
    assert_eq!(ended.load(Ordering::SeqCst), 5000);
    assert_eq!(last.unwrap(), "the value of the block");
}

#[test]
fn a10_sync_fails_with_the_first_failure_in_the_order_of_spawning_after_all_have_ended() {
    let ended = Arc::new(AtomicUsize::new(0));
    let failure = sync(|| {
        spawn!(|| 1);
        fails("one");
        fails("two");
        let ended = ended.clone();
        spawn!(move || ended.fetch_add(1, Ordering::SeqCst));
    });
    assert!(failure.unwrap_err().to_string().ends_with("number one"));
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}

#[test]
fn a11_what_comes_after_a_block_sees_all_that_its_tasks_did() {
    let sends = Notes::default();
    sync(|| {
        for i in 0..100 {
            let sends = sends.clone();
            spawn!(move || sends.note(i));
        }
    })
    .unwrap();
    let counted = spawn!(move || sends.all().len());
    assert_eq!(counted.fetch().unwrap().0, 100);
}

#[test]
fn a12_sync_does_not_wait_for_the_function_form() {
    alone(2, || {
        let both = Meeting::of(2);
        let there = both.clone();
        let task = sync(|| poniard::spawn(move || there.meet(), ())).unwrap();
        assert!(!task.is_ready(), "it waits for us");
        assert!(both.meet());
        assert!(task.fetch().unwrap());
    });
}

#[test]
fn b16_a_slow_block_comes_before_a_fast_one() {
    alone(2, || {
        let said = Notes::default();
        let gate = Gate::aside();
        let say = |what: &'static str| {
            let said = said.clone();
            spawn!(move _gate = &gate.task => said.note(what));
        };
        std::thread::scope(|scope| {
            let blocks = scope.spawn(|| {
                sync(|| say("slow")).unwrap();
                sync(|| spawn_note(&said, "fast")).unwrap();
            });
            assert!(said.all().is_empty() && !blocks.is_finished());
            gate.open();
        });
        assert_eq!(said.all(), ["slow", "fast"]);
    });
    fn spawn_note(said: &Notes, what: &'static str) {
        let said = said.clone();
        spawn!(move || said.note(what));
    }
}

#[test]
fn a_block_that_panics_waits_for_what_it_has_spawned() {
    let ended = Arc::new(AtomicUsize::new(0));
    let inside = ended.clone();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        sync(|| {
            for _ in 0..100 {
                let ended = inside.clone();
                spawn!(move || ended.fetch_add(1, Ordering::SeqCst));
            }
            panic!("in the block");
        })
    }));
    assert_eq!(ended.load(Ordering::SeqCst), 100);
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"in the block"));
}

#[test]
fn blocks_nest_and_the_inner_one_ends_first() {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = || {
        let ended = ended.clone();
        spawn!(move || ended.fetch_add(1, Ordering::SeqCst));
    };
    sync(|| {
        count();
        sync(|| (0..10).for_each(|_| count())).unwrap();
        assert!(ended.load(Ordering::SeqCst) >= 10);
        count();
    })
    .unwrap();
    assert_eq!(ended.load(Ordering::SeqCst), 12);
}

#[test]
fn a_task_may_have_a_block_of_its_own() {
    fn total(n: u64) -> Result<u64, TaskError> {
        let sum = Arc::new(AtomicUsize::new(0));
        sync(|| {
            for i in 0..n {
                let sum = sum.clone();
                spawn!(move || sum.fetch_add(i as usize, Ordering::SeqCst));
            }
        })?;
        Ok(sum.load(Ordering::SeqCst) as u64)
    }
    let tasks: Vec<DTask<u64>> = (0..20).map(|_| spawn!(total(20)?)).collect();
    assert_eq!(fetch_all(&tasks).unwrap(), [190; 20]);
}

#[test]
fn a_block_does_not_wait_for_what_its_tasks_spawn() {
    alone(2, || {
        let both = Meeting::of(2);
        let there = both.clone();
        let (send, handle) = std::sync::mpsc::channel();
        sync(|| {
            spawn!(move || send.send(spawn!(move || there.meet())).unwrap());
        })
        .unwrap();
        let grandchild: DTask<Pinned<bool>> = handle.recv().unwrap();
        assert!(!grandchild.is_ready());
        assert!(both.meet());
        assert!(grandchild.fetch().unwrap().0);
    });
}

#[test]
fn tasks_and_blocks_of_other_threads_have_nothing_to_do_with_a_block() {
    alone(2, || {
        let gate = Gate::aside();
        std::thread::scope(|scope| {
            sync(|| {
                scope.spawn(|| spawn!(x = &gate.task => { let _ = x; })).join().unwrap();
            })
            .unwrap();
        });
        assert!(!gate.task.is_ready());
        gate.open();
    });
}
