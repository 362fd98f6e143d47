//! Which of several ready tasks starts first.

use crate::alone::alone;
use crate::signals::{Gate, Notes};
use poniard::prelude::*;
use std::time::Duration;

/// The order in which one processor runs tasks that were spawned with these options.
fn order(tasks: Vec<(&'static str, Options)>) -> Vec<String> {
    let (gate, notes) = (Gate::running(), Notes::default());
    let spawned: Vec<_> = tasks
        .into_iter()
        .map(|(name, options)| {
            let notes = notes.clone();
            with_options(options, || spawn!(move || notes.note(name)))
        })
        .collect();
    gate.open();
    wait_all(&spawned);
    notes.all()
}

#[test]
fn the_highest_priority_starts_first() {
    alone(1, || {
        let with = |priority| Options::new().priority(priority);
        let tasks = vec![("1", with(1)), ("3", with(3)), ("0", with(0)), ("-1", with(-1)), ("2", with(2))];
        assert_eq!(order(tasks), ["3", "2", "1", "0", "-1"]);
    });
}

#[test]
fn below_zero_waits_until_nothing_else_is_ready() {
    alone(1, || {
        let low = || Options::new().priority(-5);
        let tasks =
            vec![("low", low()), ("a", Options::new()), ("lower", low().priority(-6)), ("b", Options::new())];
        assert_eq!(order(tasks)[2..], ["low", "lower"]);
    });
}

#[test]
fn of_equal_priority_the_longest_expected_starts_first() {
    alone(1, || {
        let takes = |seconds| Options::new().priority(1).time(Duration::from_secs(seconds));
        let tasks =
            vec![("2", takes(2)), ("30", takes(30)), ("7", takes(7)), ("0", Options::new().priority(1))];
        assert_eq!(order(tasks), ["30", "7", "2", "0"]);
    });
}

#[test]
fn a_task_of_priority_starts_before_those_that_were_ready_before_it() {
    alone(1, || {
        let mut tasks: Vec<_> = (0..100).map(|_| ("normal", Options::new())).collect();
        tasks.push(("urgent", Options::new().priority(1)));
        assert_eq!(order(tasks)[0], "urgent");
    });
}
