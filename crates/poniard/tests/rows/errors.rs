//! What an error tells, and how far.

use poniard::prelude::*;
use std::fmt;
use std::num::ParseIntError;

/// An error of the user's, with a value.
#[derive(Debug, PartialEq)]
struct OutOfRange(i64);

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is out of range", self.0)
    }
}

impl std::error::Error for OutOfRange {}

fn checked(x: i64) -> Result<i64, OutOfRange> {
    if x < 10 { Ok(x) } else { Err(OutOfRange(x)) }
}

fn add1(x: &i64) -> i64 {
    x + 1
}

#[test]
fn a07_fetch_gives_the_error_that_the_function_returned() {
    // From another worker the text comes, and not the type.
    let error = spawn!(checked(12)?, single = 1).fetch().unwrap_err();
    assert_eq!(error.downcast_ref::<OutOfRange>(), Some(&OutOfRange(12)));
    assert!(error.downcast_ref::<ParseIntError>().is_none());
    assert!(!error.is_panic() && !error.is_cancelled() && !error.is_timeout());
    assert!(!error.is_scheduling() && !error.is_worker_lost() && !error.is_halted());
    assert_eq!(spawn!(checked(3)?).fetch().unwrap(), 3);
}

#[test]
fn a07_a_dependent_gives_the_same_error_value() {
    // The value itself is where it was made; what others are told of it is row F19.
    let first = spawn!(checked(12)?, scope = Scope::worker(1));
    let last = (0..5).fold(first, |task, _| spawn!(add1(&task)));
    assert_eq!(last.fetch().unwrap_err().downcast_ref::<OutOfRange>(), Some(&OutOfRange(12)));
}

#[test]
fn without_a_question_mark_the_task_succeeds_with_an_err() {
    fn parsed(text: String) -> Result<i64, String> {
        text.parse().map_err(|error: ParseIntError| error.to_string())
    }
    let task = spawn!(parsed("x".to_owned()));
    assert!(task.fetch().unwrap().is_err());
}

#[test]
fn boxed_errors_and_text_fail_a_task_too() {
    fn boxed() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Err("boxed".into())
    }
    fn text() -> Result<(), String> {
        Err("text".into())
    }
    assert!(spawn!(boxed()?).fetch().unwrap_err().to_string().ends_with(" failed: boxed"));
    assert!(spawn!(text()?).fetch().unwrap_err().to_string().ends_with(" failed: text"));
}

#[test]
fn an_error_is_one_line_that_names_task_id_place_worker_and_reason() {
    fn two_lines() -> i64 {
        panic!("first\nsecond")
    }
    let (line, task) = (line!(), spawn!(two_lines(), name = "named", single = 1));
    let text = task.fetch().unwrap_err().to_string();
    let start = format!("task `named` ({}, {}:{line}) on w1 panicked at {}:", task.id(), file!(), file!());
    assert!(text.starts_with(&start) && text.ends_with(": first\\nsecond"), "{text}\n{start}");
}

#[test]
fn an_error_of_a_later_attempt_says_which() {
    let task = spawn!(checked(99)?, retries = 2);
    assert!(task.fetch().unwrap_err().to_string().contains(") on w1, attempt 3, failed: 99 is out of range"));
}

#[test]
fn a_dependents_error_names_itself_and_the_root() {
    let root = spawn!(checked(12)?, name = "root");
    let middle = spawn!(add1(&root), name = "middle");
    let last = spawn!(add1(&middle), name = "last");
    let error = last.fetch().unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("task `last` (")
            && text.contains("did not run, because an input failed: task `root` ("),
        "{text}"
    );
    assert!(text.ends_with("12 is out of range") && !text.contains("middle"), "{text}");
    assert_eq!(&*error.task().unwrap().name, "last");
    assert_eq!(error.root().task().unwrap().id, root.id());
    assert_eq!(error.task().unwrap().attempt, 0, "it never started");
}

#[test]
fn an_error_is_a_standard_error_with_its_source_and_clones_share_it() {
    let error = spawn!(checked(12)?, single = 1).fetch().unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.downcast_ref::<OutOfRange>(), Some(&OutOfRange(12)));
    assert_eq!(error.clone().to_string(), error.to_string());
    assert_eq!(format!("{error:?}"), error.to_string(), "what `main` prints is the line");
}

#[test]
fn an_error_fetched_inside_a_task_keeps_its_root() {
    fn passes_on(tasks: Vec<DTask<i64>>) -> Result<i64, TaskError> {
        tasks[0].fetch()
    }
    let root = spawn!(checked(12)?, single = 1);
    let outer = spawn!(passes_on(vec![root.clone()])?, name = "outer", single = 1);
    let error = outer.fetch().unwrap_err();
    assert_eq!((error.task().unwrap().id, error.root().task().unwrap().id), (outer.id(), root.id()));
    assert!(
        error.to_string().starts_with("task `outer`")
            && error.to_string().contains(" failed: task `checked`"),
        "{error}"
    );
    assert_eq!(error.downcast_ref::<OutOfRange>(), Some(&OutOfRange(12)));
}
