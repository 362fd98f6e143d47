//! What a failed task does to others.

use crate::alone::alone;
use crate::signals::{Gate, LIMIT};
use poniard::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

fn fails() -> i64 {
    panic!("the root")
}

fn add1(x: &i64) -> i64 {
    x + 1
}

/// The root of what the task failed with.
fn root<T: Data>(task: &DTask<T>) -> String {
    let error = task.fetch_ref().err().expect("it failed");
    error.root().to_string()
}

#[test]
fn b19_fetch_of_a_failed_task_gives_its_error_every_time() {
    let task = spawn!(fails());
    for _ in 0..3 {
        assert!(task.fetch().unwrap_err().to_string().ends_with("the root"));
        assert!(task.fetch_ref().unwrap_err().is_panic());
    }
    assert!(task.any().error().unwrap().is_panic());
}

#[test]
fn b20_all_transitive_dependents_fail_with_the_same_root_and_do_not_run() {
    let runs = Arc::new(AtomicUsize::new(0));
    let needs = |x: &DTask<Pinned<i64>>| {
        let runs = runs.clone();
        spawn!(move x = x => { runs.fetch_add(1, Ordering::SeqCst); **x })
    };
    let first = spawn!(move || fails());
    let (a, b) = (needs(&first), needs(&first));
    let deeper: Vec<_> = (0..50)
        .scan(a.clone(), |last, _| {
            *last = needs(last);
            Some(last.clone())
        })
        .collect();
    for task in deeper.iter().chain([&a, &b]) {
        assert_eq!(root(task), root(&first));
    }
    assert_eq!(runs.load(Ordering::SeqCst), 0);
}

#[test]
fn b20_a_dependent_fails_at_once_even_when_another_input_never_ends() {
    alone(2, || {
        let (gate, bad) = (Gate::aside(), spawn!(fails()));
        let both = spawn!(x = &bad, y = &gate.task => { let _ = y; *x });
        let after = spawn!(add1(&both));
        let last = spawn!(|| 1, after = (&after, &gate.task));
        assert_eq!((root(&both), root(&after), root(&last)), (root(&bad), root(&bad), root(&bad)));
        assert!(!gate.task.is_ready());
        gate.open();
    });
}

#[test]
fn b20_a_failure_that_comes_later_reaches_dependents_that_wait_already() {
    alone(2, || {
        let (go, gone) = channel::<()>();
        let bad = spawn!(move || {
            let _ = gone.recv_timeout(LIMIT);
            fails()
        });
        let (one, gate) = (spawn!(x = &bad => **x), Gate::aside());
        let two = spawn!(x = &one, y = &gate.task => { let _ = y; *x });
        assert!(!one.is_ready() && !two.is_ready());
        go.send(()).unwrap();
        assert_eq!((root(&one), root(&two)), (root(&bad), root(&bad)));
        gate.open();
    });
}

#[test]
fn b21_a_task_spawned_later_on_a_failed_one_fails() {
    let bad = spawn!(fails());
    bad.wait();
    let (by_reference, by_value) = (spawn!(add1(&bad)), spawn!((|x| x)(bad.clone())));
    let (among_others, in_order) = (spawn!((|xs| xs.len())(&[bad.clone()])), spawn!(|| 1, after = &bad));
    let by_function = poniard::spawn(add1, (&bad,));
    for found in
        [root(&by_reference), root(&by_value), root(&among_others), root(&in_order), root(&by_function)]
    {
        assert_eq!(found, root(&bad));
    }
}

#[test]
fn b22_wait_and_is_ready_take_no_notice_of_a_failure() {
    let bad = spawn!(fails());
    bad.wait();
    assert!(bad.is_ready());
    let dependent = spawn!(add1(&bad));
    wait_all(&[bad.clone(), dependent.clone()]);
    assert!(dependent.is_ready());
    assert!(wait_any(&[dependent, bad]).is_some());
}

#[test]
fn b23_tasks_that_have_nothing_to_do_with_a_failure_go_on() {
    let good = spawn!((|x| x)(1));
    let bad = spawn!(fails());
    let worse = spawn!(add1(&bad));
    let better = spawn!(add1(&good));
    assert!(worse.fetch().is_err());
    assert_eq!(spawn!(add1(&better)).fetch().unwrap(), 3);
    let many: Vec<_> =
        (0..100).map(|i| if i % 3 == 0 { spawn!(fails()) } else { spawn!((|i| i)(i)) }).collect();
    assert_eq!(many.iter().filter_map(|task| task.fetch().ok()).count(), 66);
}

#[test]
fn with_two_failed_inputs_the_root_is_one_of_them() {
    let (a, b) = (spawn!(fails()), spawn!(fails()));
    let both = spawn!((|a, b| a + b)(&a, &b));
    assert!([root(&a), root(&b)].contains(&root(&both)));
}
