//! Keyword arguments.

use poniard::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Color {
    Blue,
    Red,
}

#[poniard::task]
fn plot(n: i64, #[default(Color::Blue)] color: Color, #[default(1)] width: i64) -> (i64, Color, i64) {
    (n, color, width)
}

#[test]
fn a04_keyword_arguments_are_given_by_name_in_any_order() {
    assert_eq!(spawn!(plot(1, color = Color::Red)).fetch().unwrap(), (1, Color::Red, 1));
    assert_eq!(spawn!(plot(2, width = 3, color = Color::Red)).fetch().unwrap(), (2, Color::Red, 3));
    assert_eq!(spawn!(plot(3, ..)).fetch().unwrap(), (3, Color::Blue, 1));
    assert_eq!(spawn!(plot(4, Color::Red, 5)).fetch().unwrap(), (4, Color::Red, 5), "they have a place too");
    assert_eq!(plot(5, Color::Blue, 2), (5, Color::Blue, 2), "it is still a function");
}

#[test]
fn b04_a_task_may_be_a_keyword_argument() {
    let width = spawn!((|x| x + 1)(6));
    let task = spawn!(plot(1, width = width), name = "plotted");
    assert_eq!((task.fetch().unwrap(), &*task.name()), ((1, Color::Blue, 7), "plotted"));
}
