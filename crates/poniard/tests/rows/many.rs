//! Many tasks at once.

use crate::alone::alone;
use crate::signals::{Gate, LIMIT};
use poniard::prelude::*;
use std::sync::mpsc::channel;

fn fails(x: i64) -> i64 {
    panic!("number {x}")
}

#[test]
fn wait_any_gives_the_place_of_one_that_has_ended() {
    alone(2, || {
        let (first, third) = (Gate::aside(), Gate::aside());
        let (go, gone) = channel::<()>();
        let second = spawn!(
            move || {
                let _ = gone.recv_timeout(LIMIT);
            },
            occupancy = 0
        );
        let tasks = [first.task.clone(), second, third.task.clone()];
        std::thread::scope(|scope| {
            let found = scope.spawn(|| wait_any(&tasks));
            go.send(()).unwrap();
            assert_eq!(found.join().unwrap(), Some(1));
        });
        assert_eq!(wait_any(&tasks), Some(1));
        assert_eq!(wait_any::<i64>(&[]), None);
        first.open();
        third.open();
        wait_all(&tasks);
        assert_eq!(wait_any(&tasks), Some(0));
    });
}

#[test]
fn wait_any_takes_a_failure_for_an_end() {
    alone(2, || {
        let gate = Gate::aside();
        let blocked = spawn!(_gate = &gate.task => 1);
        assert_eq!(wait_any(&[blocked, spawn!(fails(1))]), Some(1));
        gate.open();
    });
}

#[test]
fn wait_any_lets_go_of_the_processor_inside_a_task() {
    fn first_of_two() -> Option<usize> {
        wait_any(&[spawn!((|x| x)(1)), spawn!((|x| x)(2))])
    }
    alone(1, || assert!(spawn!(first_of_two()).fetch().unwrap().is_some()));
}

#[test]
fn fetch_all_keeps_the_order_and_gives_the_first_failure() {
    let tasks: Vec<_> = (0..100).map(|i| spawn!((|i| i * i)(i))).collect();
    assert_eq!(fetch_all(&tasks).unwrap(), (0..100).map(|i| i * i).collect::<Vec<_>>());
    let mixed = [spawn!((|i| i)(1)), spawn!(fails(2)), spawn!(fails(3))];
    assert!(fetch_all(&mixed).unwrap_err().to_string().ends_with("number 2"));
    assert!(fetch_all::<i64>(&[]).unwrap().is_empty());
}

#[test]
fn as_completed_gives_tasks_in_the_order_of_their_ends() {
    alone(2, || {
        let gates: Vec<Gate> = (0..4).map(|_| Gate::aside()).collect();
        let numbered: Vec<_> =
            gates.iter().enumerate().map(|(i, gate)| spawn!(i = i, _gate = &gate.task => i)).collect();
        let mut completed = as_completed(numbered);
        for next in [2, 0, 3, 1] {
            gates[next].open();
            assert_eq!(completed.len(), completed.size_hint().0);
            assert_eq!(completed.next().unwrap().fetch().unwrap(), next);
        }
        assert!(completed.next().is_none());
    });
}

#[test]
fn as_completed_gives_failed_and_ended_tasks_too() {
    let ended = spawn!((|x| x)(1));
    ended.wait();
    let results: Vec<bool> =
        as_completed([ended, spawn!(fails(1))]).map(|task| task.fetch().is_ok()).collect();
    assert_eq!(results.iter().filter(|good| **good).count(), 1);
    assert_eq!(results.len(), 2);
}

#[test]
fn map_keeps_the_order_of_the_items() {
    let offset = 7;
    assert_eq!(poniard::map(move |x: u64| x + offset, 0..10_000).unwrap(), (7..10_007).collect::<Vec<_>>());
    assert!(map(|x: u8| x, []).unwrap().is_empty());
    assert_eq!(map(|text: String| text.len(), ["a".to_owned(), "bc".to_owned()]).unwrap(), [1, 2]);
}

#[test]
fn map_fails_when_the_function_panics_on_an_item() {
    let error = map(|x: i64| if x == 500 { fails(x) } else { x }, 0..1000).unwrap_err();
    assert!(error.is_panic() && error.to_string().ends_with("number 500"), "{error}");
}

#[test]
fn map_inside_a_task_on_one_thread() {
    fn total() -> Result<i64, TaskError> {
        Ok(map(|x: i64| x, 0..1000)?.iter().sum())
    }
    alone(1, || assert_eq!(spawn!(total()?).fetch().unwrap(), 499_500));
}
