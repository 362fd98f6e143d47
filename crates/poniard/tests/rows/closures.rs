//! Bodies instead of functions: applied closures, declared captures, real captures.

use poniard::prelude::*;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

#[test]
fn a_closure_is_applied_to_arguments() {
    let p = spawn!(|| 4);
    assert_eq!(spawn!((|x, k| x * k)(&p, 3)).fetch().unwrap(), 12);
    assert_eq!(spawn!((|x: i64| x + 1)(p)).fetch().unwrap(), 5);
    assert_eq!(
        spawn!((|xs| xs.iter().copied().sum::<i32>())(&[spawn!(|| 1), spawn!(|| 2)])).fetch().unwrap(),
        3
    );
}

#[test]
fn declared_captures_are_arguments() {
    let x = spawn!(|| vec![1, 2, 3]);
    let factor = 10;
    let task = spawn!(x = &x, factor = factor => x.iter().map(|n| n * factor).collect::<Vec<i32>>());
    assert_eq!(task.fetch().unwrap(), [10, 20, 30]);
}

#[test]
fn real_captures_stay_in_this_process() {
    let counter = Arc::new(Mutex::new(0));
    let x = spawn!(|| 5);
    let task = {
        let counter = counter.clone();
        spawn!(move x = &x => *counter.lock().unwrap() += *x)
    };
    task.fetch().unwrap();
    assert_eq!(*counter.lock().unwrap(), 5);
}

#[test]
fn a_body_may_return_and_fail_with_a_question_mark() {
    let number = |text: &str| {
        spawn!(
            (|text: String| -> Result<i64, std::num::ParseIntError> {
                if text.is_empty() {
                    return Ok(0);
                }
                Ok(text.parse::<i64>()? + 1)
            })(text.to_owned())?,
            single = 1
        )
    };
    assert_eq!(number("").fetch().unwrap(), 0);
    assert_eq!(number("41").fetch().unwrap(), 42);
    assert!(number("forty").fetch().unwrap_err().downcast_ref::<std::num::ParseIntError>().is_some());
}

#[test]
fn a_body_with_real_captures_may_fail() {
    let parsed = |text: &'static str| spawn!(move x = &spawn!(|| 1) => text.parse::<i64>().map(|n| n + x)?);
    assert_eq!(parsed("41").fetch().unwrap().0, 42);
    assert!(parsed("x").fetch().unwrap_err().downcast_ref::<std::num::ParseIntError>().is_some());
    let text = "7";
    assert_eq!(spawn!(move => text.parse::<i64>()?).fetch().unwrap().0, 7);
}

#[test]
fn options_follow_a_body_too() {
    let sum = Arc::new(AtomicI64::new(0));
    let inside = sum.clone();
    let task = spawn!(move x = 2 => inside.fetch_add(x, Ordering::SeqCst), name = "adds", priority = 2);
    assert_eq!((task.fetch().unwrap().0, &*task.name()), (0, "adds"));
    assert_eq!(sum.load(Ordering::SeqCst), 2);
    assert_eq!(&*spawn!(x = 1 => x, name = "declared").name(), "declared");
    assert_eq!(&*spawn!((|x| x)(1), name = "applied").name(), "applied");
}
