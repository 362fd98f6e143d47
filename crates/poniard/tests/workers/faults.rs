//! Faults and structures of the specification's rows, with real processes.

use super::*;
use std::time::SystemTime;

#[test]
fn a03_a_function_that_is_not_known_there_is_an_error_that_names_it_and_the_worker() {
    alone(1, || {
        let _cluster = cluster(1);
        let there = || Options::new().scope(Scope::worker(2)).name("by-pointer");
        let pointer: fn(i64) -> i64 = i64::abs;
        let error = spawn_with(there(), pointer, (-3,)).fetch().unwrap_err();
        assert!(error.is_scheduling(), "{error}");
        for word in ["`by-pointer`", "faults.rs", "worker 2", "a function that holds values"] {
            assert!(error.to_string().contains(word), "{error}");
        }
        assert_eq!(spawn_with(there(), i64::abs, (-3,)).fetch().unwrap(), 3);
    });
}

/// Nanoseconds since a time that all processes of this machine agree on.
fn now() -> u128 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos()
}

#[test]
fn a15_nested_loops_run_each_task_once_and_in_order_on_all_workers() {
    alone(1, || {
        let _cluster = Cluster::local().workers(2).threads(1).start().unwrap();
        type Ran = (u32, u32, u128, u128, WorkerId);
        fn outer(i: u32) -> Ran {
            let begin = now();
            sharing::work(3);
            (i, 0, begin, now(), my_id())
        }
        fn inner(i: u32, j: u32, y: &Ran) -> Ran {
            assert_eq!(y.0, i);
            let begin = now();
            assert!(begin >= y.3, "it starts after the task that it needs");
            sharing::work(3);
            (i, j, begin, now(), my_id())
        }
        let (mut outers, mut inners) = (Vec::new(), Vec::new());
        sync(|| {
            for i in 0..20 {
                let y = spawn!(outer(i));
                inners.extend((1..=6).map(|j| spawn!(inner(i, j, &y))));
                outers.push(y);
            }
        })
        .unwrap();
        let ran = [fetch_all(&outers).unwrap(), fetch_all(&inners).unwrap()].concat();
        let which: std::collections::BTreeSet<(u32, u32)> = ran.iter().map(|ran| (ran.0, ran.1)).collect();
        assert_eq!((ran.len(), which.len()), (140, 140));
        let overlap = |a: &Ran, b: &Ran| a.0 != b.0 && a.2 < b.3 && b.2 < a.3;
        let is_side_by_side = ran[20..].iter().any(|a| ran[20..].iter().any(|b| overlap(a, b)));
        assert!(is_side_by_side, "tasks of different rows run at the same time");
        assert!(ran.iter().any(|ran| ran.4 != WorkerId(1)), "not all of them here");
    });
}

#[test]
fn f02_all_workers_but_one_are_killed_and_then_that_one() {
    alone(1, || {
        let cluster = Cluster::local().workers(3).threads(1).respawn(10).start().unwrap();
        fn square(number: u64) -> u64 {
            sharing::work(4);
            number * number
        }
        let processes: Vec<u32> = (2..=4).map(process_of).collect();
        let tasks: Vec<_> =
            (0..300_u64).map(|number| spawn!(square(number), scope = !Scope::worker(1))).collect();
        wait_any(&tasks);
        // One after the other, a task that is moved from the first to the second and then to the third would be blamed for all.
        signal_all("-9", &processes[..2]);
        wait_any(&tasks[150..]);
        signal("-9", processes[2]);
        for (number, square) in (0..).zip(fetch_all(&tasks).unwrap()) {
            assert_eq!(square, number * number);
        }
        until("there are as many as before", || cluster.workers().len() == 4);
    });
}

#[test]
fn f18_many_panics_cost_no_worker() {
    alone(1, || {
        let cluster = cluster(1);
        let process = process_of(2);
        /// Panics when it is dropped, too.
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                assert!(!std::thread::panicking(), "never both");
                panic!("in a drop");
            }
        }
        fn fails(number: u64) -> u64 {
            match number % 4 {
                0 => panic!("text"),
                1 => panic!("number {number}"),
                2 => std::panic::panic_any(number),
                _ => drop(Bomb),
            }
            number
        }
        std::panic::set_hook(Box::new(|_| ()));
        let tasks: Vec<_> =
            (0..2_000_u64).map(|number| spawn!(fails(number), scope = Scope::worker(2))).collect();
        for (number, task) in tasks.iter().enumerate() {
            let error = task.fetch().unwrap_err();
            let said = ["text", &format!("number {number}"), "no text", "in a drop"][number % 4].to_owned();
            assert!(error.is_panic() && error.to_string().contains(&said), "{error}");
        }
        assert_eq!(process_of(2), process);
        assert_eq!(cluster.on(2, my_id).unwrap(), WorkerId(2));
    });
}

#[test]
fn f20_tasks_that_break_their_process_are_blamed_and_others_end() {
    alone(1, || {
        let cluster = Cluster::local().workers(2).threads(1).respawn(20).start().unwrap();
        fn overflows(depth: u64) -> u64 {
            let here = std::hint::black_box([depth; 64]);
            if depth == u64::MAX { 0 } else { overflows(depth + 1) + here[7] }
        }
        fn faults() -> u64 {
            // By a signal that nothing handles, as a library in C would get it.
            let own = std::process::id().to_string();
            let _ = std::process::Command::new("kill").args(["-SEGV", &own]).status();
            until("the signal comes", || false);
            0
        }
        let deep = spawn!(overflows(0), scope = !Scope::worker(1));
        let fault = spawn!(faults(), scope = !Scope::worker(1));
        let good: Vec<_> = (0..50).map(|_| spawn!(sharing::work(2), scope = !Scope::worker(1))).collect();
        // Rust tells of a full stack where `main` has run, and aborts; in a worker the fault itself ends the process.
        for task in [deep, fault] {
            let error = task.fetch().unwrap_err();
            assert!(error.is_worker_lost(), "{error}");
            assert!(error.to_string().contains("3 workers died while they ran it"), "{error}");
            assert!(error.to_string().contains("by signal 11 (a wrong address or a full stack"), "{error}");
        }
        for ran in fetch_all(&good).unwrap() {
            assert_ne!(ran, WorkerId(1));
        }
        until("there are as many as before", || cluster.workers().len() == 3);
    });
}

#[test]
fn f21_a_cancel_of_what_waits_there_is_quick_and_of_what_runs_there_is_seen() {
    alone(1, || {
        let _cluster = Cluster::local().workers(1).threads(1).start().unwrap();
        fn until_cancelled() {
            until("it is cancelled", cancelled);
        }
        let first = spawn!(until_cancelled(), scope = Scope::worker(2));
        let waiting: Vec<_> = (0..10_000).map(|_| spawn!(my_id(), scope = Scope::worker(2))).collect();
        let begin = Instant::now();
        waiting.iter().for_each(|task| task.cancel());
        assert!(waiting.iter().all(|task| task.fetch().unwrap_err().is_cancelled()));
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        first.cancel();
        assert!(first.fetch().unwrap_err().is_cancelled());
        assert_eq!(
            spawn!(my_id(), scope = Scope::worker(2)).fetch().unwrap(),
            WorkerId(2),
            "its processor is free"
        );
    });
}
