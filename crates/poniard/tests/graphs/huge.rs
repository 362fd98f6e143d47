//! Huge graphs: no recursion overflows, no count wraps, and memory stays in proportion.

use crate::alone::alone;
use poniard::prelude::*;
use std::sync::mpsc::channel;

const MILLION: usize = 1_000_000;

fn one(_: &()) -> u64 {
    1
}

fn next(x: &u64) -> u64 {
    x + 1
}

fn total(xs: &[&u64]) -> u64 {
    xs.iter().copied().sum()
}

/// A task that ends when the sender is dropped.
fn gate() -> (std::sync::mpsc::Sender<()>, DTask<()>) {
    let (open, opened) = channel::<()>();
    let waiting = spawn!(move || {
        let _ = opened.recv();
    });
    (open, spawn!(gate = &waiting => { let _: &() = gate; }))
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn a_million_tasks_wait_in_a_hundred_bytes_each() {
    // In a process of its own: what other tests take and give back would be counted too.
    alone(2, || {
        let (open, gate) = gate();
        let mut tasks = Vec::with_capacity(MILLION);
        let before = resident();
        tasks.extend((0..MILLION).map(|_| spawn!(one(&gate))));
        let bytes = (resident() - before) / MILLION;
        assert!(tasks.iter().all(|task| !task.is_ready()));
        drop(open);
        assert_eq!(tasks.iter().map(|task| task.fetch().unwrap()).sum::<u64>(), MILLION as u64);
        assert!(bytes <= 128, "{bytes} bytes a waiting task");
    });
}

#[test]
fn a_chain_of_a_million_runs_to_its_end() {
    let (open, gate) = gate();
    let mut last = spawn!(one(&gate));
    for _ in 1..MILLION {
        last = spawn!(next(&last));
    }
    drop(open);
    assert_eq!(last.fetch().unwrap(), MILLION as u64);
}

#[test]
fn a_chain_of_a_million_fails_from_its_head() {
    let (open, gate) = gate();
    let head = spawn!(one(&gate));
    let mut last = spawn!(next(&head));
    for _ in 1..MILLION {
        last = spawn!(next(&last));
    }
    head.cancel();
    let error = last.fetch().unwrap_err();
    assert!(error.is_cancelled());
    assert_eq!(error.root().task().unwrap().id, head.id());
    drop(open);
}

#[test]
fn a_task_takes_a_hundred_thousand_inputs() {
    let inputs: Vec<DTask<u64>> = (0..100_000u64).map(|x| spawn!((|x| x)(x))).collect();
    assert_eq!(spawn!(total(&inputs)).fetch().unwrap(), 100_000 * 99_999 / 2);
}

#[test]
fn a_million_dependents_of_one_task_fail_at_once() {
    let (open, gate) = gate();
    let head = spawn!(one(&gate));
    let tasks: Vec<DTask<u64>> = (0..MILLION).map(|_| spawn!(next(&head))).collect();
    head.cancel();
    assert!(tasks.iter().all(|task| task.is_ready()));
    drop(open);
}

#[test]
fn a_million_fetches_inside_each_other_end_or_say_why_not() {
    fn deep(n: u64) -> u64 {
        if n == 0 { 0 } else { spawn!(deep(n - 1)).fetch().unwrap() + 1 }
    }
    assert_eq!(spawn!(deep(MILLION as u64)).fetch().unwrap(), MILLION as u64);
}
