//! Values that tasks change in place.

use crate::alone::alone;
use crate::signals::{Meeting, linger};
use poniard::ProcessorId;
use poniard::prelude::*;
use std::io::{Read, Seek, Write};

fn push(list: &mut Vec<u32>, x: u32) {
    list.push(x);
}

fn sum(list: &[u32]) -> u32 {
    list.iter().sum()
}

fn processor(index: u32) -> Scope {
    Scope::exact(ProcessorId { worker: WorkerId(1), index })
}

#[test]
fn a18_a_task_gets_ordinary_arguments_to_read_or_as_copies_of_its_own() {
    fn change(mut list: Vec<u32>) -> Vec<u32> {
        list.push(4);
        list
    }
    let list = vec![1, 2, 3];
    let changed = spawn!(change(list.clone()));
    assert_eq!((list.len(), changed.fetch().unwrap().len()), (3, 4));
    let made = spawn!((|| vec![1, 2, 3])());
    let first = spawn!(change(made.clone()));
    let second = spawn!(change(made.clone()));
    assert_eq!(first.fetch().unwrap(), second.fetch().unwrap(), "none of them sees the other's change");
    assert_eq!(made.fetch().unwrap(), [1, 2, 3]);
}

#[test]
fn a19_prefix_sums_in_place() {
    const N: usize = 1000;
    fn prefix_sums(rows: &mut [Vec<f64>]) {
        for row in 0..N {
            for column in 0..N {
                let (up, left) = (row.checked_sub(1), column.checked_sub(1));
                let at = |row: Option<usize>, column: Option<usize>| Some(rows[row?][column?]);
                let before = at(up, Some(column)).unwrap_or(0.0) + at(Some(row), left).unwrap_or(0.0)
                    - at(up, left).unwrap_or(0.0);
                rows[row][column] += before;
            }
        }
    }
    fn corner(rows: &[Vec<f64>]) -> f64 {
        rows[N - 1][N - 1]
    }
    let mut evaluated = 0;
    let mut m = mutable!({
        evaluated += 1;
        vec![vec![1.0f64; N]; N]
    });
    assert_eq!(evaluated, 1, "here, and once");
    spawn!(prefix_sums(&mut m));
    assert_eq!(spawn!(corner(&m)).fetch().unwrap(), (N * N) as f64);
    spawn!(prefix_sums(&mut m));
    assert!(m.with(|rows| rows[0][N - 1]).unwrap() == (N * (N + 1) / 2) as f64);
}

#[test]
fn a20_a_mutable_made_in_a_task_is_used_by_others() {
    fn make() -> Mutable<Vec<u32>> {
        mutable!(vec![1])
    }
    fn use_it(made: &Mutable<Vec<u32>>) -> u32 {
        let mut made = made.clone();
        spawn!(push(&mut made, 2));
        spawn!(sum(&made)).fetch().unwrap()
    }
    alone(1, || {
        let made = spawn!(make());
        assert_eq!(spawn!(use_it(&made)).fetch().unwrap(), 3);
        let mut here = made.fetch().unwrap();
        spawn!(push(&mut here, 3));
        assert_eq!(here.fetch().unwrap(), [1, 2, 3]);
        assert!(here.is_same(&made.fetch().unwrap()));
        assert_eq!(spawn!(use_it(&spawn!(make())), retries = Retries::new(1)).fetch().unwrap(), 3);
    });
}

#[test]
fn a22_a_clash_of_scopes_is_an_error_at_fetch_that_names_both() {
    alone(2, || {
        let mut m = mutable!(vec![1u32]);
        let task = spawn!(push(&mut m, 2), scope = Scope::worker(2));
        let error = task.fetch().unwrap_err();
        let text = error.to_string();
        assert!(
            error.is_scheduling() && text.contains("`worker 2`") && text.contains("`worker 1`"),
            "{text}"
        );
        let mut there = mutable!(vec![1u32], scope = Scope::thread(1));
        let text = spawn!(push(&mut there, 2), scope = Scope::thread(0)).fetch().unwrap_err().to_string();
        assert!(text.contains("`thread 0`") && text.contains("`thread 1`"), "{text}");
        let lazily = lazy!(push(&mut there, 2), scope = Scope::thread(0));
        assert!(lazily.collect().unwrap_err().is_scheduling());
        let elsewhere = mutable!(0u32, processor = ProcessorId { worker: WorkerId(1), index: 0 });
        fn both(_: &mut Vec<u32>, _: &u32) {}
        let text = spawn!(both(&mut there, &elsewhere)).fetch().unwrap_err().to_string();
        assert!(text.contains("`thread 1`") && text.contains("`exactly w1/cpu0`"), "{text}");
        assert_eq!(there.fetch().unwrap(), [1], "a refused task takes no turn");
        spawn!(push(&mut there, 3), scope = Scope::thread(1)).fetch().unwrap();
        assert_eq!(spawn!(sum(&there), scope = Scope::worker(1)).fetch().unwrap(), 4);
    });
}

#[test]
fn tasks_run_where_their_mutable_lives() {
    fn here(made: &mut u32) -> (u32, u32) {
        (*made, current_processor().unwrap().index)
    }
    alone(3, || {
        let place = || current_processor().unwrap().index;
        let mut m = mutable!(place(), scope = Scope::thread(2));
        assert_eq!(m.scope(), Scope::thread(2));
        let tasks: Vec<_> = (0..50).map(|_| spawn!(here(&mut m))).collect();
        assert!(fetch_all(&tasks).unwrap().iter().all(|found| *found == (2, 2)));
        let mut w = mutable!(place(), worker = 1);
        assert!(spawn!(here(&mut w), scope = processor(1)).fetch().unwrap().1 == 1);
        let lost: Mutable<u32> = mutable!(panic!("while it was made"), worker = 1);
        assert!(lost.error().is_some_and(TaskError::is_panic));
        assert!(spawn!((|x: &u32| *x)(&lost)).fetch().unwrap_err().is_panic() && lost.fetch().is_err());
        let nowhere = mutable!(1, worker = 7);
        assert!(spawn!((|x: &i32| *x)(&nowhere)).fetch().unwrap_err().is_scheduling());
    });
}

#[test]
fn a_pinned_value_is_changed_through_its_reference() {
    fn write(file: &mut std::fs::File, text: &str) {
        file.write_all(text.as_bytes()).unwrap();
    }
    let path = std::env::temp_dir().join(format!("poniard-mutable-{}", std::process::id()));
    let file =
        std::fs::File::options().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut out = mutable!(Pinned(file));
    for line in ["one\n", "two\n"] {
        let line = spawn!((|line: String| line)(line.to_owned()));
        spawn!(write(&mut out, &line));
    }
    let text = out.with_mut(|file| {
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    });
    assert_eq!(text.unwrap(), "one\ntwo\n");
}

#[test]
fn the_programs_thread_takes_turns_too() {
    alone(2, || {
        let mut m = mutable!(vec![1u32]);
        spawn!(push(&mut m, 2));
        let mut clone = m.clone();
        let (inside, later) = m
            .with_mut(|list| {
                let later = spawn!(push(&mut clone, 4));
                linger();
                assert!(!later.is_ready());
                // It would wait for this very closure.
                assert!(later.fetch().unwrap_err().is_scheduling());
                assert!(clone.fetch().unwrap_err().is_scheduling());
                list.push(3);
                (list.clone(), later)
            })
            .unwrap();
        assert_eq!(inside, [1, 2, 3]);
        later.fetch().unwrap();
        let read = m.with(|list| (list.len(), spawn!(sum(&m)).fetch().unwrap()));
        assert_eq!(read.unwrap(), (4, 10), "readers do not wait for each other");
        let panicked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| m.with_mut(|_| panic!("inside"))));
        assert!(panicked.is_err());
        assert_eq!(m.fetch().unwrap().len(), 4, "the turn is over");
        // Inside a task, which has a turn at something else.
        let mut other = mutable!(0);
        let task = spawn!(move x = &mut other, handle = m.clone() => {
            let mut m = handle;
            *x = 1;
            m.with_mut(|list| list.push(5)).unwrap();
        });
        task.wait();
        assert_eq!(m.fetch().unwrap().len(), 5);
    });
}

#[test]
fn threads_with_turns_of_their_own_that_wait_for_each_other_are_told_so() {
    alone(2, || {
        let (x, y) = (mutable!(0u32), mutable!(0u32));
        let both = Meeting::of(2);
        let threads: Vec<_> = [(x.clone(), y.clone()), (y, x)]
            .into_iter()
            .map(|(mut mine, other)| {
                let both = both.clone();
                std::thread::spawn(move || mine.with_mut(|_| both.meet() && other.fetch().is_err()).unwrap())
            })
            .collect();
        let refused = threads.into_iter().filter(|_| true).map(|thread| thread.join().unwrap());
        assert_eq!(refused.filter(|refused| *refused).count(), 1, "the one that closes the circle");
    });
}

#[test]
fn a_handle_is_handed_over_instead_of_the_value_by_meta() {
    fn through(handle: &Mutable<Vec<u32>>) -> Mutable<Vec<u32>> {
        handle.clone()
    }
    let m = mutable!(vec![5]);
    let same = spawn!(through(&m), meta = true).fetch().unwrap();
    assert!(same.is_same(&m));
    let written = serde_free_text(&m);
    assert!(written.contains("Mutable"), "{written}");
}

fn serde_free_text(m: &Mutable<Vec<u32>>) -> String {
    format!("{m:?}")
}
