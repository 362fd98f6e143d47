//! Calls as tasks: what they receive, and that they run by themselves.

use crate::alone::alone;
use crate::signals::{LIMIT, Meeting};
use poniard::prelude::*;
use std::sync::mpsc::channel;

fn add1(x: i64) -> i64 {
    x + 1
}

fn add2(x: &i64) -> i64 {
    x + 2
}

fn combine(xs: &[&i64]) -> i64 {
    xs.iter().copied().sum()
}

fn identity<T>(x: T) -> T {
    x
}

#[test]
fn a04_a_spawn_returns_before_its_function_runs_and_passes_exactly_its_arguments() {
    let (go, gone) = channel();
    let task = spawn!(move a = 1, b = "two".to_owned(), c = vec![3.0] => {
        gone.recv_timeout(LIMIT).expect("the spawner goes on before the task ends");
        (a, b, c)
    });
    assert!(!task.is_ready());
    go.send(()).unwrap();
    assert_eq!(task.fetch().unwrap().0, (1, "two".to_owned(), vec![3.0]));
}

#[test]
fn a05_a_result_may_be_fetched_many_times_and_from_several_threads() {
    let task = spawn!(combine(&[spawn!(add1(4)), spawn!(add1(5))]));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| assert_eq!(task.fetch().unwrap(), combine(&[&5, &6]))));
        }
    });
}

#[test]
fn a08_a_closure_with_arguments_and_captures_runs_like_a_function() {
    let k = 3;
    let by_function = poniard::spawn(move |x: i64, y: i64| k * x + y, (2, 1));
    let declared = spawn!(k = k, x = 2, y = 1 => k * x + y);
    let applied = spawn!((|k, x, y| k * x + y)(k, 2, 1));
    let captured = spawn!(move x = 2 => k * x + 1);
    assert_eq!(fetch_all(&[by_function, declared, applied]).unwrap(), [7, 7, 7]);
    assert_eq!(captured.fetch().unwrap().0, 7);
}

#[test]
fn a09_function_and_macro_give_the_same_results_errors_and_options() {
    fn fails(x: i64) -> i64 {
        assert!(x < 0, "{x} is not negative");
        x
    }
    let options = || Options::new().name("same").single(1);
    assert_eq!(poniard::spawn(add1, (4,)).fetch().unwrap(), spawn!(add1(4)).fetch().unwrap());
    let by_function = spawn_with(options(), fails, (1,));
    let by_macro = spawn!(fails(1), name = "same", single = 1);
    assert_eq!(by_function.name(), by_macro.name());
    let reason = |task: DTask<i64>| {
        let error = task.fetch().unwrap_err().to_string();
        error.split_once(" panicked at ").expect("it panicked").1.to_owned()
    };
    assert_eq!(reason(by_function), reason(by_macro));
}

#[test]
fn a18_a_task_that_changes_what_it_was_given_changes_nothing_for_others() {
    fn grown(mut numbers: Vec<i32>) -> Vec<i32> {
        numbers.push(4);
        numbers
    }
    let numbers = spawn!(identity(vec![1, 2, 3]));
    let longer = spawn!(grown(numbers.clone()));
    assert_eq!(longer.fetch().unwrap(), [1, 2, 3, 4]);
    assert_eq!(numbers.fetch().unwrap(), [1, 2, 3]);
}

#[test]
fn b01_options_follow_the_call() {
    let task = spawn!(add1(4), name = "one more", priority = 1, single = 1);
    assert_eq!((task.fetch().unwrap(), &*task.name()), (5, "one more"));
}

#[test]
fn b02_the_function_form_takes_options_or_none() {
    let without = poniard::spawn(add1, (4,));
    let with = spawn_with(Options::new().name("four"), add1, (4,));
    assert_eq!((without.fetch().unwrap(), &*without.name()), (5, "add1"));
    assert_eq!((with.fetch().unwrap(), &*with.name()), (5, "four"));
}

#[test]
fn b03_a_spawn_gives_a_handle_at_once() {
    alone(1, || {
        let both = Meeting::of(2);
        let there = both.clone();
        let task = spawn!(move || there.meet());
        assert!(!task.is_ready(), "it waits for us");
        assert!(both.meet());
        assert!(task.fetch().unwrap().0);
    });
}

#[test]
fn b04_a_task_as_argument_is_its_result_and_has_ended() {
    let (send, order) = channel();
    let first = {
        let send = send.clone();
        spawn!(move || {
            send.send("first").unwrap();
            20
        })
    };
    let second = spawn!(move x = &first => { send.send("second").unwrap(); **x + 1 });
    assert_eq!(second.fetch().unwrap().0, 21);
    assert_eq!(order.iter().collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!(spawn!(add1(spawn!(add1(1)))).fetch().unwrap(), 3);
    assert_eq!(spawn!(add2(&spawn!(add2(&spawn!(add1(1)))))).fetch().unwrap(), 6);
    assert_eq!(poniard::spawn(add2, (&poniard::spawn(add1, (1,)),)).fetch().unwrap(), 4);
}

#[test]
fn b05_what_is_no_handle_is_passed_as_it_is() {
    fn address(numbers: Vec<u8>) -> (usize, Vec<u8>) {
        (numbers.as_ptr().addr(), numbers)
    }
    let numbers = vec![1, 2, 3];
    let here = numbers.as_ptr().addr();
    assert_eq!(spawn!(address(numbers), single = 1).fetch().unwrap(), (here, vec![1, 2, 3]));
    let nested = (Some("text".to_owned()), [1.5, -0.0], vec![('x', None::<u8>)]);
    assert_eq!(spawn!(identity(nested.clone())).fetch().unwrap(), nested);
}

#[test]
fn b12_a_small_graph_gives_16() {
    let p = spawn!(add1(4));
    let q = spawn!(add2(&p));
    let r = spawn!(add1(3));
    let s = spawn!(combine(&[p, q, r]));
    assert_eq!(s.fetch().unwrap(), 16);
}

#[test]
fn b13_tasks_run_without_anyone_waiting() {
    let (send, ran) = channel();
    let input = spawn!(add1(1));
    drop(spawn!(move x = &input => send.send(*x).unwrap()));
    assert_eq!(ran.recv_timeout(LIMIT), Ok(2));
}

#[test]
fn b14_a_matrix_product_is_that_of_a_direct_call() {
    const N: usize = 400;
    fn matrix(seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1u32 << 31)
        };
        (0..N * N).map(|_| next()).collect()
    }
    fn product(a: &[f64], b: &[f64]) -> Vec<f64> {
        let mut c = vec![0.0; N * N];
        for (row, line) in c.chunks_exact_mut(N).enumerate() {
            for k in 0..N {
                let factor = a[row * N + k];
                line.iter_mut().zip(&b[k * N..][..N]).for_each(|(c, b)| *c += factor * b);
            }
        }
        c
    }
    let (a, b) = (spawn!(matrix(1)), spawn!(matrix(2)));
    let c = spawn!(product(&a, &b)).fetch().unwrap();
    let direct = product(&matrix(1), &matrix(2));
    assert!(c.iter().zip(&direct).all(|(c, d)| (c - d).abs() <= 1e-9 * d.abs()));
}

#[test]
fn references_to_handles_coerce_as_references_to_values_do() {
    fn length(text: &str) -> usize {
        text.len()
    }
    fn sum(numbers: &[f64]) -> f64 {
        numbers.iter().sum()
    }
    assert_eq!(spawn!(length(&spawn!(identity("seven".to_owned())))).fetch().unwrap(), 5);
    assert_eq!(spawn!(sum(&spawn!(identity(vec![1.0, 2.5])))).fetch().unwrap(), 3.5);
}

#[test]
fn several_handles_are_passed_as_array_slice_or_vector() {
    let tasks: Vec<DTask<i64>> = (0..5).map(|i| spawn!(identity(i))).collect();
    assert_eq!(spawn!(combine(&tasks)).fetch().unwrap(), 10);
    assert_eq!(spawn!(combine(&tasks[1..3])).fetch().unwrap(), 3);
    assert_eq!(spawn!(combine(&[tasks[4].clone()])).fetch().unwrap(), 4);
    assert_eq!(spawn!(combine(&Vec::<DTask<i64>>::new())).fetch().unwrap(), 0);
    assert_eq!(poniard::spawn(combine, (&tasks,)).fetch().unwrap(), 10);
}

#[test]
fn functions_with_paths_and_types_can_be_spawned() {
    // What a vector could hold is not told to other processes.
    let task = spawn!(Vec::<u8>::with_capacity(7), single = 1);
    assert!(task.fetch_ref().unwrap().capacity() >= 7);
    assert_eq!(spawn!(i64::pow(2, 10)).fetch().unwrap(), 1024);
    assert_eq!(spawn!(String::from('x')).fetch().unwrap(), "x");
    assert_eq!(spawn!(Some(3)).fetch().unwrap(), Some(3));
}

#[test]
fn the_function_form_takes_up_to_six_arguments() {
    fn six(a: u8, b: &u8, c: u8, d: &[&u8], e: u8, f: u8) -> Vec<u8> {
        vec![a, *b, c, *d[0], e, f]
    }
    let (b, d) = (spawn!(identity(2u8)), spawn!(identity(4u8)));
    let task = poniard::spawn(six, (1u8, &b, 3u8, &[d], 5u8, 6u8));
    assert_eq!(task.fetch().unwrap(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(poniard::spawn(|| 7, ()).fetch().unwrap(), 7);
}
