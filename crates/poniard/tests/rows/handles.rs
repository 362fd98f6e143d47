//! Handles: data themselves, and keepers of results.

use crate::alone::alone;
use crate::signals::Gate;
use poniard::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn identity<T>(x: T) -> T {
    x
}

#[test]
fn b08_with_meta_the_function_receives_handles() {
    fn itself(chunk: &Chunk<i64>) -> Chunk<i64> {
        chunk.clone()
    }
    fn sum(chunks: &[Chunk<i64>], more: i64) -> Result<i64, TaskError> {
        chunks.iter().map(Chunk::fetch).sum::<Result<i64, _>>().map(|sum| sum + more)
    }
    let (a, b) = (spawn!(identity(1i64)), spawn!(identity(2i64)));
    assert_eq!(spawn!(itself(&a), meta = true).fetch().unwrap(), a.chunk().unwrap());
    assert_eq!(spawn!(itself(a.clone()), meta = true).fetch().unwrap(), a.chunk().unwrap());
    assert_eq!(
        spawn!(sum(&[a.clone(), b], 10)?, meta = true).fetch().unwrap(),
        13,
        "values stay as they are"
    );
    assert_eq!(spawn!(identity(a), meta = false).fetch().unwrap(), 1);
}

#[test]
fn b08_a_task_with_meta_starts_when_its_inputs_have_ended() {
    fn has_ended(task: &Chunk<Pinned<()>>) -> bool {
        task.is_resident()
    }
    alone(2, || {
        let gate = Gate::running();
        let looks = spawn!(has_ended(&gate.task), meta = true);
        assert!(!looks.is_ready());
        gate.open();
        assert!(looks.fetch().unwrap());
    });
}

#[test]
fn b09_get_result_changes_nothing_that_is_seen() {
    for get_result in [true, false] {
        let p = spawn!(identity(vec![1, 2]), get_result = get_result);
        assert_eq!(spawn!((|v: &Vec<i32>| v.len())(&p)).fetch().unwrap(), 2);
        assert_eq!(p.fetch().unwrap(), [1, 2]);
    }
}

#[test]
fn a_handle_is_a_result_alone_in_lists_and_in_structs() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Report {
        title: String,
        total: DTask<i64>,
        parts: Vec<DTask<i64>>,
    }
    fn report(n: i64) -> Report {
        let parts: Vec<_> = (0..n).map(|i| spawn!(identity(i))).collect();
        let total = spawn!((|xs: &[&i64]| xs.iter().copied().sum::<i64>())(&parts));
        Report { title: "sum".to_owned(), total, parts }
    }
    let one = spawn!((|x: i64| spawn!(identity(x)))(5));
    assert_eq!(one.fetch().unwrap().fetch().unwrap(), 5);
    let report = spawn!(report(4)).fetch().unwrap();
    assert_eq!((report.title.as_str(), report.total.fetch().unwrap(), report.parts.len()), ("sum", 6, 4));
    let list = spawn!((|n: i64| (0..n).map(|i| spawn!(identity(i))).collect::<Vec<_>>())(3)).fetch().unwrap();
    assert_eq!(fetch_all(&list).unwrap(), [0, 1, 2]);
}

#[test]
fn a_handle_in_another_value_is_passed_as_it_is() {
    #[derive(Serialize, Deserialize)]
    struct Job {
        input: DTask<i64>,
        factor: i64,
    }
    fn run(job: Job) -> Result<i64, TaskError> {
        Ok(job.input.fetch()? * job.factor)
    }
    let input = spawn!(identity(6));
    assert_eq!(spawn!(run(Job { input: input.clone(), factor: 7 })?).fetch().unwrap(), 42);
    assert_eq!(poniard::spawn(|task: DTask<i64>| task.fetch().unwrap(), (input,)).fetch().unwrap(), 6);
}

/// Counts how often it is cloned and dropped.
struct Counted {
    clones: Arc<AtomicUsize>,
    drops: Arc<AtomicUsize>,
}

impl Clone for Counted {
    fn clone(&self) -> Counted {
        self.clones.fetch_add(1, Ordering::SeqCst);
        Counted { clones: self.clones.clone(), drops: self.drops.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::SeqCst);
    }
}

/// A task whose result counts, and its two counters.
fn counted() -> (DTask<Pinned<Counted>>, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (clones, drops): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
    let value = Counted { clones: clones.clone(), drops: drops.clone() };
    (spawn!(move || value), clones, drops)
}

#[test]
fn the_last_handle_by_value_moves_the_result_out() {
    let (task, clones, drops) = counted();
    let moved = (0..10).fold(task, |task, _| spawn!(identity(task)));
    drop(moved.fetch_ref().unwrap());
    assert_eq!(clones.load(Ordering::SeqCst), 0);
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    drop(moved);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

#[test]
fn a_handle_by_value_that_is_not_the_last_clones() {
    let (task, clones, _drops) = counted();
    let copy = spawn!(identity(task.clone()));
    copy.wait();
    assert_eq!(clones.load(Ordering::SeqCst), 1);
    drop(task.fetch().unwrap());
    assert_eq!(clones.load(Ordering::SeqCst), 2, "`fetch` clones");
    drop((task.fetch_ref().unwrap(), spawn!((|x: &Pinned<Counted>| drop(x.drops.clone()))(&task)).fetch()));
    assert_eq!(clones.load(Ordering::SeqCst), 2, "to borrow does not");
}

#[test]
fn a_result_goes_with_its_last_handle_and_a_borrowed_one_stays() {
    let (task, _clones, drops) = counted();
    let borrowed = task.fetch_ref().unwrap();
    drop(task);
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    assert_eq!(borrowed.drops.load(Ordering::SeqCst), 0);
    drop(borrowed);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

#[test]
fn inputs_are_given_back_when_the_last_task_that_needs_them_has_ended() {
    let (task, _clones, drops) = counted();
    let users: Vec<_> = (0..20).map(|_| spawn!((|_: &Pinned<Counted>| ())(&task))).collect();
    drop(task);
    wait_all(&users);
    // The last user gives its input back after it has ended, so this may take a moment.
    crate::signals::eventually(|| drops.load(Ordering::SeqCst) == 1);
}

#[test]
fn a_task_whose_handle_is_dropped_runs_all_the_same() {
    let (send, ran) = std::sync::mpsc::channel();
    drop(spawn!(move || send.send(1).unwrap()));
    assert_eq!(ran.recv_timeout(crate::signals::LIMIT), Ok(1));
}

#[test]
fn handles_have_ids_names_and_a_debug_form() {
    let (a, b) = (spawn!(identity(1)), spawn!(identity(2)));
    assert_ne!(a.id(), b.id());
    assert_eq!(a.clone().id(), a.id());
    assert_eq!((&*a.name(), a.any().site().file), ("identity", file!()));
    assert!(format!("{a:?}").contains(&a.id().to_string()), "{a:?}");
    assert!(a.any() == a.any() && a.any() != b.any());
}

#[test]
fn what_cannot_move_is_pinned() {
    let file = spawn!(|| Pinned(std::fs::File::open("/proc/self/stat").unwrap()));
    let length = spawn!((|file: &std::fs::File| file.metadata().is_ok())(&file));
    assert!(length.fetch().unwrap());
}
