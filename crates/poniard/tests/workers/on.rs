//! `on`: a function on a worker, its value here; and the function form, which travels by the same way.

use super::*;
use std::collections::BTreeMap;

#[test]
fn on_runs_there_and_gives_the_value_here() {
    alone(1, || {
        let cluster = cluster(1);
        assert_eq!(cluster.on(WorkerId(2), my_id).unwrap(), WorkerId(2));
        assert_eq!(cluster.on(1, my_id).unwrap(), WorkerId(1));
        assert_ne!(cluster.on(2, std::process::id).unwrap(), std::process::id());
        let made = cluster.on(2, || BTreeMap::from([("a".to_owned(), vec![1.5; 50_000])])).unwrap();
        assert_eq!(made["a"].len(), 50_000);
        // Neither the options of a block nor a region have to do with it.
        let ran = with_options(Options::new().scope(Scope::worker(1)), || cluster.on(2, my_id)).unwrap();
        assert_eq!(ran, WorkerId(2));
        spawn_bulk(|| assert_eq!(cluster.on(2, my_id).unwrap(), WorkerId(2)));
    });
}

#[test]
fn b17_a_call_on_another_worker_spawns_there() {
    alone(2, || {
        let cluster = cluster(2);
        fn sum() -> i64 {
            spawn!((|x: i64, y: i64| x + y)(1, 2)).fetch().unwrap()
        }
        assert_eq!(cluster.on(2, sum).unwrap(), 3);
        // Inside a task, from there to the other one, and back here.
        fn round() -> Vec<WorkerId> {
            let here = my_id();
            let there = poniard::on(3, || vec![my_id(), poniard::on(1, my_id).unwrap()]).unwrap();
            [vec![here], there].concat()
        }
        assert_eq!(cluster.on(2, round).unwrap(), [WorkerId(2), WorkerId(3), WorkerId(1)]);
    });
}

#[test]
fn on_nobody_says_who_is_there_and_what_became_of_the_others() {
    alone(1, || {
        let cluster = cluster(2);
        let process = cluster.on(3, std::process::id).unwrap();
        let error = cluster.on(9, my_id).unwrap_err();
        assert!(error.is_scheduling(), "{error}");
        for word in ["worker 9", "w1/cpu0", "w2/cpu1", "w3/cpu0", "on.rs"] {
            assert!(error.to_string().contains(word), "{error}");
        }
        signal("-9", process);
        until("it is gone", || cluster.workers().len() == 2);
        let error = cluster.on(3, my_id).unwrap_err();
        assert!(error.is_scheduling(), "{error}");
        assert!(error.to_string().contains("gone are w3 (its process was killed by signal 9)"), "{error}");
    });
}

#[test]
fn on_fails_as_the_function_does() {
    alone(1, || {
        let cluster = cluster(1);
        let error = cluster.on(2, || -> i32 { panic!("boom") }).unwrap_err();
        assert!(error.is_panic() && error.to_string().contains("on w2"), "{error}");
        // The worker goes while it runs.
        fn exits() -> i32 {
            std::process::exit(7)
        }
        let error = cluster.on(2, exits).unwrap_err();
        assert!(error.is_worker_lost(), "{error}");
        let error = cluster.on(2, exits).unwrap_err().to_string();
        assert!(error.contains("w2 (its process ended with exit status 7)"), "{error}");
    });
}

#[test]
fn a09_the_function_form_runs_there_too() {
    alone(2, || {
        let _cluster = cluster(1);
        let there = || Options::new().scope(Scope::worker(2));
        fn add(x: i64, y: &i64) -> i64 {
            x + y + i64::from(my_id().0)
        }
        let four = poniard::spawn(|x: i64| x + 1, (3,));
        let sum = spawn_with(there(), add, (1, &four));
        assert_eq!(sum.fetch().unwrap(), 1 + 4 + 2);
        let nine = spawn_with(there(), |x: &i64| x + 2, (&sum,));
        assert_eq!(nine.fetch().unwrap(), 9);
        let error =
            spawn_with(there(), |x: i64| assert!(x < 0, "{x} is too large"), (7,)).fetch().unwrap_err();
        assert!(error.is_panic() && error.to_string().contains("on.rs"), "{error}");
        let captured = String::from("text");
        let error = spawn_with(there(), move |x: i64| captured.len() as i64 + x, (7,)).fetch().unwrap_err();
        assert!(error.to_string().contains("a function that holds values"), "{error}");
    });
}
