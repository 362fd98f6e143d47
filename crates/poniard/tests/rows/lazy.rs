//! Lazy tasks.

use crate::alone::alone;
use crate::signals::{Gate, Notes};
use poniard::prelude::*;
use poniard::{Lazy, delayed_with};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn add1(x: i64) -> i64 {
    x + 1
}

fn add2(x: &i64) -> i64 {
    x + 2
}

fn combine(xs: &[&i64]) -> i64 {
    xs.iter().copied().sum()
}

fn fails() -> i64 {
    panic!("the root")
}

/// A lazy task that counts its runs.
fn counting(runs: &Arc<AtomicUsize>) -> Lazy<Pinned<usize>> {
    let runs = runs.clone();
    lazy!(move || runs.fetch_add(1, Ordering::SeqCst))
}

#[test]
fn b24_an_error_stops_the_computation() {
    alone(2, || {
        let (gate, runs) = (Gate::aside(), Arc::new(AtomicUsize::new(0)));
        let inside = runs.clone();
        let slow = lazy!(move _gate = &gate.task => { inside.fetch_add(1, Ordering::SeqCst); 1 });
        let both = lazy!(a = &slow, b = &lazy!(fails()) => **a + b);
        assert!(both.collect().unwrap_err().root().to_string().ends_with("the root"));
        assert!(slow.compute().unwrap_err().is_cancelled());
        gate.open();
        gate.task.wait();
        assert_eq!(runs.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn b24_with_allow_errors_the_rest_goes_on() {
    alone(2, || {
        let gate = Gate::aside();
        let slow = lazy!(_gate = &gate.task => 1);
        let both = lazy!(a = &slow, b = &lazy!(fails()) => a + b);
        let error = both.collect_with(SchedulerOptions::new().allow_errors(true)).unwrap_err();
        assert!(
            error.root().to_string().ends_with("the root"),
            "what depends on the failure fails all the same"
        );
        gate.open();
        assert_eq!(slow.collect().unwrap(), 1);
    });
}

#[test]
fn b25_a_lazy_call_runs_nothing() {
    let runs = Arc::new(AtomicUsize::new(0));
    let node = counting(&runs);
    let next = lazy!((|x: &Pinned<usize>| **x + 1)(&node));
    assert!(spawn!(|| 1).fetch().is_ok());
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    assert_eq!(next.collect().unwrap(), 1);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[test]
fn b26_delayed_makes_lazy_tasks_of_a_function() {
    let runs = Arc::new(AtomicUsize::new(0));
    let inside = runs.clone();
    let counts = delayed(move |x: i64| {
        inside.fetch_add(1, Ordering::SeqCst);
        x + 1
    });
    let (p, q) = (counts.call((1,)), counts.call((10,)));
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    assert_eq!(delayed(|a: &i64, b: &i64| a + b).call((&p, &q)).collect().unwrap(), 13);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[test]
fn b27_collect_runs_the_graph() {
    let p = lazy!(add1(4));
    let s = lazy!(combine(&[p.clone(), lazy!(add2(&p)), lazy!(add1(3))]));
    assert_eq!(s.collect().unwrap(), 16);
}

#[test]
fn b28_a_block_becomes_a_graph() {
    let s = lazy! {
        let p = add1(4);
        let q = add2(&p);
        let r = add1(3);
        combine(&[p, q, r])
    };
    assert_eq!(s.collect().unwrap(), 16);
    assert_eq!(s.to_dot().matches(" -> ").count(), 4);
}

#[test]
fn b29_compute_runs_and_gives_a_handle() {
    let handle = lazy!((|a, b| a + b)(1, 2)).compute().unwrap();
    assert!(handle.is_resident());
    assert_eq!(handle.fetch().unwrap(), 3);
    assert_eq!(spawn!(add2(&handle)).fetch().unwrap(), 5);
}

#[test]
fn b30a_parts_of_a_graph_may_run_while_it_is_built() {
    let p = lazy!(add1(4));
    p.launch().wait();
    let q = lazy!(add2(&p));
    assert_eq!(q.collect().unwrap(), 7);
}

#[test]
fn b30b_a_graph_grows_while_it_runs() {
    fn fib(n: u64) -> Result<u64, TaskError> {
        if n < 2 { Ok(n) } else { Ok(lazy!(fib(n - 1)?).collect()? + spawn!(fib(n - 2)?).fetch()?) }
    }
    assert_eq!(lazy!(fib(10)?).collect().unwrap(), 55);
}

#[test]
fn b30c_no_scheduler_is_started_for_a_call() {
    alone(2, || {
        for i in 0..500 {
            assert_eq!(lazy!(add2(&lazy!(add1(i)))).collect().unwrap(), i + 3);
        }
        // One for each processor, and a few that stood in while another was on its way to park.
        let threads = poniard::status().threads;
        assert!(threads <= 8, "{threads} threads after 500 calls");
    });
}

#[test]
fn b30d_lazy_tasks_are_counted_with_all_others() {
    alone(2, || {
        spawn!(add1(1)).wait();
        let before = poniard::status().done;
        lazy!(add2(&lazy!(add1(1)))).collect().unwrap();
        assert_eq!(poniard::status().done, before + 2);
    });
}

#[test]
fn b30e_two_collects_share_work_and_results() {
    let runs = Arc::new(AtomicUsize::new(0));
    let shared = counting(&runs);
    let (a, b) =
        (lazy!((|x: &Pinned<usize>| x.0 + 1)(&shared)), lazy!((|x: &Pinned<usize>| x.0 + 2)(&shared)));
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(a.collect().unwrap(), 1));
        scope.spawn(|| assert_eq!(b.collect().unwrap(), 2));
    });
    assert_eq!(a.collect().unwrap(), 1);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

/// The name of the task that runs.
fn my_name() -> String {
    current_task().expect("it runs in a task").name.to_string()
}

#[test]
fn b31_scheduler_options_hold_for_all_tasks_of_a_graph() {
    fn with_input(input: &String) -> Vec<String> {
        vec![input.clone(), my_name()]
    }
    let graph = lazy!(with_input(&lazy!(my_name())));
    let all = SchedulerOptions::new().single(1).options(Options::new().name("all"));
    assert_eq!(graph.collect_with(all).unwrap(), ["all", "all"]);
    let elsewhere = lazy!(add2(&lazy!(add1(1)))).collect_with(SchedulerOptions::new().single(7));
    assert!(elsewhere.unwrap_err().is_scheduling());
}

#[test]
fn b32_options_of_a_task_win_over_those_of_the_scheduler() {
    let join = |a: &String, b: &String| format!("{a} {b}");
    let graph = delayed(join).call((&lazy!(my_name(), name = "mine"), &lazy!(my_name())));
    let all = SchedulerOptions::new().options(Options::new().name("all").single(1));
    assert_eq!(graph.collect_with(all).unwrap(), "mine all");
}

#[test]
fn b35_single_holds_for_delayed_tasks() {
    let here = delayed_with(Options::new().single(1), my_id);
    assert_eq!(here.call(()).collect().unwrap(), WorkerId(1));
    let nowhere = delayed_with(Options::new().single(99), my_id);
    assert!(nowhere.call(()).collect().unwrap_err().is_scheduling());
}

#[test]
fn a_lazy_task_may_be_an_argument_of_a_spawn() {
    let p = lazy!(add1(4));
    assert_eq!(spawn!(add2(&p)).fetch().unwrap(), 7);
    assert_eq!(spawn!(add1(p.clone())).fetch().unwrap(), 6);
    assert_eq!(spawn!(combine(&[p.clone(), lazy!(add1(1))])).fetch().unwrap(), 7);
    assert_eq!(lazy!(add2(&spawn!(add1(1)))).collect().unwrap(), 4);
}

#[test]
fn a_lazy_task_that_is_given_away_belongs_to_who_has_it() {
    fn takes(_: poniard::Pinned<()>) {}
    let last = lazy!(add1(lazy!(add1(lazy!(add1(4))))));
    assert_eq!(last.collect().unwrap(), 7);
    let notes = Notes::default();
    let inside = notes.clone();
    let inner = lazy!(move || inside.note("ran"));
    drop(lazy!(takes(inner)));
    spawn!(|| 1).wait();
    assert!(notes.all().is_empty());
}

#[test]
fn a_long_lazy_chain_neither_runs_nor_drops_by_recursion() {
    let last = (0..100_000).fold(lazy!(add1(0)), |task, _| lazy!(add2(&task)));
    assert_eq!(last.collect().unwrap(), 200_001);
    drop(last);
    drop((0..100_000).fold(lazy!(add1(0)), |task, _| lazy!(add2(&task))));
}

#[test]
fn a_lazy_task_that_is_dropped_never_runs_and_gives_its_captures_back() {
    let notes = Notes::default();
    let inside = notes.clone();
    drop(lazy!(move || inside.note("ran")));
    spawn!(|| 1).wait();
    assert!(notes.all().is_empty());
}
