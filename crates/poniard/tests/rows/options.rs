//! Options: on calls, for regions, handed down.

use crate::alone::alone;
use crate::signals::{Gate, Notes};
use poniard::prelude::*;
use std::time::Duration;

/// The name of the task that runs.
fn my_name() -> String {
    current_task().expect("it runs in a task").name.to_string()
}

/// The name of a task that it spawns.
fn name_of_child() -> Result<String, TaskError> {
    spawn!(my_name()).fetch()
}

fn name_of_grandchild() -> Result<String, TaskError> {
    spawn!(name_of_child()?).fetch()
}

#[test]
fn b07_every_option_is_taken_by_call_region_and_function_form() {
    let input = spawn!(|| 1);
    let by_macro = spawn!(
        my_name(),
        name = "all",
        scope = Scope::default(),
        single = 1,
        priority = 3,
        occupancy = 1.0,
        threads = 1,
        memory = 1024,
        time = Duration::from_millis(1),
        retries = Retries::new(1).on_error(true).backoff(Duration::ZERO),
        timeout = Duration::from_secs(100),
        after = &input,
        get_result = true,
        meta = false,
        propagates = ["priority"],
    );
    let all = Options::new()
        .name("all")
        .scope(Scope::any())
        .single(1)
        .priority(3)
        .occupancy(1.0)
        .threads(1)
        .memory(1024);
    let all = all.time(Duration::from_millis(1)).retries(1).timeout(Duration::from_secs(100)).after(&input);
    let all = all.get_result(true).propagates(["priority"]);
    let by_function = spawn_with(all.clone(), my_name, ());
    let by_region = with_options(all, || spawn!(my_name()));
    assert_eq!(fetch_all(&[by_macro, by_function, by_region]).unwrap(), ["all"; 3]);
}

#[test]
fn b07_propagates_of_an_unknown_name_fails_the_task_and_names_it() {
    let error = spawn!(my_name(), propagates = ["priority", "prio"]).fetch().unwrap_err();
    assert!(error.is_scheduling() && error.to_string().contains("`prio`"), "{error}");
}

#[test]
fn b07_values_that_make_no_sense_fail_the_task_and_say_why() {
    let too_much = spawn!(my_name(), occupancy = 1.5).fetch().unwrap_err();
    let too_little = spawn!(my_name(), occupancy = -0.5).fetch().unwrap_err();
    let no_number = spawn!(my_name(), occupancy = f64::NAN).fetch().unwrap_err();
    let no_thread = spawn!(my_name(), threads = 0).fetch().unwrap_err();
    assert!(too_much.to_string().contains("occupancy 1.5"), "{too_much}");
    assert!(no_thread.to_string().contains("threads = 0"), "{no_thread}");
    assert!([too_much, too_little, no_number, no_thread].iter().all(TaskError::is_scheduling));
}

#[test]
fn b34_single_holds_by_options_too() {
    let here = spawn_with(Options::new().single(1), my_id, ());
    assert_eq!(here.fetch().unwrap(), WorkerId(1));
    assert!(spawn_with(Options::new().single(99), my_id, ()).fetch().unwrap_err().is_scheduling());
}

#[test]
fn what_the_call_asks_wins_over_inner_regions_and_those_over_outer_ones() {
    with_options(Options::new().name("outer").single(1), || {
        with_options(Options::new().name("inner"), || {
            assert_eq!(spawn!(my_name()).fetch().unwrap(), "inner");
            assert_eq!(spawn!(my_name(), name = "call").fetch().unwrap(), "call");
        });
        assert_eq!(spawn!(my_name()).fetch().unwrap(), "outer");
        with_options(Options::new().priority(1), || assert_eq!(spawn!(my_name()).fetch().unwrap(), "outer"));
    });
    assert_eq!(spawn!(my_name()).fetch().unwrap(), "my_name");
}

#[test]
fn options_of_regions_are_merged() {
    let nowhere = with_options(Options::new().single(9), || {
        with_options(Options::new().name("inner"), || spawn!(my_name()))
    });
    assert_eq!(&*nowhere.name(), "inner");
    assert!(nowhere.fetch().unwrap_err().is_scheduling());
}

#[test]
fn a_region_ends_when_its_block_panics() {
    let caught = std::panic::catch_unwind(|| {
        with_options(Options::new().name("region"), || -> () { panic!("in the block") });
    });
    assert!(caught.is_err());
    assert_eq!(spawn!(my_name()).fetch().unwrap(), "my_name");
}

#[test]
fn options_of_a_region_hold_for_what_its_tasks_spawn() {
    let task = with_options(Options::new().name("region"), || spawn!(name_of_grandchild()?));
    assert_eq!(task.fetch().unwrap(), "region");
}

#[test]
fn options_of_a_call_are_handed_down_only_when_named() {
    assert_eq!(spawn!(name_of_grandchild()?, name = "family").fetch().unwrap(), "my_name");
    let handed_down = spawn!(name_of_grandchild()?, name = "family", propagates = ["name"]);
    assert_eq!(handed_down.fetch().unwrap(), "family");
    let other = spawn!(name_of_grandchild()?, name = "family", propagates = ["priority"]);
    assert_eq!(other.fetch().unwrap(), "my_name");
}

#[test]
fn a_region_of_one_task_does_not_hold_for_a_task_that_runs_meanwhile_on_its_thread() {
    alone(1, || {
        let other = spawn!(my_name());
        with_options(Options::new().name("region"), || other.wait());
        assert_eq!(other.fetch().unwrap(), "my_name");
        let spawns = spawn!(name_of_child()?);
        let name = with_options(Options::new().name("region"), || spawns.fetch()).unwrap();
        assert_eq!(name, "my_name");
    });
}

#[test]
fn after_orders_tasks_without_passing_results() {
    alone(2, || {
        let (gate, notes) = (Gate::running(), Notes::default());
        let note = |what: &'static str| {
            let notes = notes.clone();
            move || notes.note(what)
        };
        let first = spawn_with(Options::new().after(&gate.task), note("first"), ());
        let second = spawn_with(Options::new().after(&[first.clone()]), note("second"), ());
        let third = spawn_with(Options::new().after((&first, &vec![second.any()])), note("third"), ());
        let fourth = with_options(Options::new().after(&third), || {
            let last = note("fourth");
            spawn!(move || last())
        });
        gate.open();
        fourth.wait();
        assert_eq!(notes.all(), ["first", "second", "third", "fourth"]);
    });
}

#[test]
fn a_failure_goes_through_after() {
    fn fails() -> i64 {
        panic!("the root")
    }
    let bad = spawn!(fails());
    let later = spawn!(my_name(), after = &bad);
    let last = spawn!(my_name(), after = (&later, &spawn!(|| 1)));
    assert!(last.fetch().unwrap_err().root().to_string().ends_with("the root"));
    assert_eq!(last.fetch().unwrap_err().root().task().unwrap().id, bad.id());
}

#[test]
fn a_task_knows_its_name_and_id() {
    let task = spawn!(|| current_task().map(|task| (task.id, task.name.to_string())), name = "aware");
    assert_eq!(task.fetch().unwrap(), Some((task.id(), "aware".to_owned())));
    assert_eq!(current_task(), None);
}
