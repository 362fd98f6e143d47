//! `spawn_sequential`, `spawn_bulk` and their nestings.

use crate::alone::alone;
use crate::signals::{LIMIT, Meeting, Notes, Seen};
use poniard::prelude::*;

/// Spawns a task that notes `what`.
fn note(notes: &Notes, what: impl ToString) -> DTask<Pinned<()>> {
    let (notes, what) = (notes.clone(), what.to_string());
    spawn!(move || notes.note(what))
}

#[test]
fn tasks_of_a_sequence_run_one_after_the_other_and_may_be_fetched_inside() {
    let notes = Notes::default();
    let last = spawn_sequential(|| {
        (0..50).for_each(|i| drop(note(&notes, i)));
        note(&notes, 50).fetch().unwrap();
        assert_eq!(notes.all().len(), 51);
        note(&notes, 51)
    });
    last.wait();
    assert_eq!(notes.all(), (0..52).map(|i| i.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_failure_in_a_sequence_fails_what_comes_later_and_nothing_else() {
    fn fails() -> i64 {
        panic!("the root")
    }
    let (before, after) = spawn_sequential(|| {
        let before = spawn!(|| 1i64);
        spawn!(fails());
        (before, spawn!(|| 2i64))
    });
    assert_eq!(before.fetch().unwrap(), 1);
    assert!(after.fetch().unwrap_err().root().to_string().ends_with("the root"));
    assert_eq!(spawn!(|| 3).fetch().unwrap(), 3);
}

#[test]
fn a_bulk_holds_its_tasks_back_until_its_end() {
    alone(2, || {
        let (send, ran) = std::sync::mpsc::channel();
        let tasks = spawn_bulk(|| {
            let tasks: Vec<_> = (0..10)
                .map(|i| {
                    let send = send.clone();
                    spawn!(move || send.send(i).unwrap())
                })
                .collect();
            assert_eq!(spawn_elsewhere(), 7);
            assert!(ran.try_recv().is_err());
            assert!(tasks.iter().all(|task| !task.is_ready()));
            tasks
        });
        assert!(ran.recv_timeout(LIMIT).is_ok());
        wait_all(&tasks);
    });
    /// What another thread spawns is not held back.
    fn spawn_elsewhere() -> i32 {
        std::thread::spawn(|| spawn!(|| 7).fetch().unwrap()).join().unwrap()
    }
}

#[test]
fn tasks_of_a_bulk_may_depend_on_each_other() {
    let last = spawn_bulk(|| (0..100).fold(spawn!(|| 0), |task, _| spawn!((|x: &i32| x + 1)(&task))));
    assert_eq!(last.fetch().unwrap(), 100);
}

#[test]
fn to_fetch_a_held_task_in_its_bulk_is_an_error() {
    let task = spawn_bulk(|| {
        let task = spawn!(|| 1);
        let error = task.fetch().unwrap_err();
        assert!(error.is_scheduling() && error.to_string().contains("region"), "{error}");
        let dependent = spawn!((|x: &i32| x + 1)(&task));
        assert!(dependent.fetch_ref().unwrap_err().is_scheduling());
        dependent
    });
    assert_eq!(task.fetch().unwrap(), 2, "the task itself is none the worse");
}

#[test]
fn a_bulk_that_panics_cancels_its_tasks() {
    let kept = std::sync::Mutex::new(None);
    let caught = std::panic::catch_unwind(|| {
        spawn_bulk(|| {
            *kept.lock().unwrap() = Some(spawn!(|| 1));
            panic!("in the block");
        })
    });
    assert!(caught.is_err());
    let task = kept.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).unwrap();
    assert!(task.fetch().unwrap_err().is_cancelled());
}

#[test]
fn bulks_in_a_sequence_are_steps_whose_tasks_run_side_by_side() {
    alone(3, || {
        let notes = Notes::default();
        let tasks = spawn_sequential(|| {
            let step = |step: i32| {
                let all = Meeting::of(3);
                spawn_bulk(|| {
                    [(); 3].map(|()| {
                        let (notes, all) = (notes.clone(), all.clone());
                        spawn!(move || {
                            notes.note(step);
                            all.meet()
                        })
                    })
                })
            };
            [step(1), step(2), step(3), step(4)]
        });
        assert!(tasks.iter().flatten().all(|task| task.fetch().unwrap().0), "the tasks of a step meet");
        let expected: Vec<String> = [1, 2, 3, 4].iter().flat_map(|step| vec![step.to_string(); 3]).collect();
        assert_eq!(notes.all(), expected, "a step begins after the one before");
    });
}

#[test]
fn a_sequence_in_a_bulk_keeps_its_order_and_two_of_them_run_side_by_side() {
    alone(2, || {
        let (both, notes) = (Meeting::of(2), [Notes::default(), Notes::default()]);
        let last = spawn_bulk(|| {
            notes.each_ref().map(|notes| {
                spawn_sequential(|| {
                    (0..5).for_each(|i| drop(note(notes, i)));
                    let both = both.clone();
                    spawn!(move || both.meet())
                })
            })
        });
        assert!(last.iter().all(|task| task.fetch().unwrap().0));
        for notes in notes {
            assert_eq!(notes.all(), ["0", "1", "2", "3", "4"]);
        }
    });
}

#[test]
fn sync_waits_for_tasks_of_sequences_and_bulks() {
    let seen = Seen::nothing();
    let see = |thing: i32| {
        let seen = seen.clone();
        drop(spawn!(move || seen.add(thing)));
    };
    sync(|| {
        spawn_bulk(|| [1, 2, 3].map(see));
        spawn_sequential(|| [4, 5].map(see));
        see(6);
    })
    .unwrap();
    assert_eq!(seen.all(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn options_and_the_function_form_hold_in_regions() {
    let held = spawn_bulk(|| {
        with_options(Options::new().name("inner"), || [spawn!(|| 1), poniard::spawn(|| 2, ())])
    });
    assert_eq!(fetch_all(&held).unwrap(), [1, 2]);
    assert!(held.iter().all(|task| &*task.name() == "inner"));
    let tasks = spawn_sequential(|| {
        with_options(Options::new().name("inner"), || [spawn!(|| 1), poniard::spawn(|| 2, ())])
    });
    assert_eq!(fetch_all(&tasks).unwrap(), [1, 2]);
    assert!(tasks.iter().all(|task| &*task.name() == "inner"));
}
