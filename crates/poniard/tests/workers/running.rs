//! Tasks that run on other workers.

use super::*;

fn add(x: i64, y: i64) -> i64 {
    x + y
}

fn add_to(x: i64, y: &i64) -> i64 {
    x + y
}

#[test]
fn a01_the_same_program_on_several_processes() {
    alone(2, || {
        fn tree(depth: u32) -> u64 {
            if depth == 0 {
                return 1;
            }
            let (left, right) = (spawn!(tree(depth - 1)), spawn!(tree(depth - 1)));
            left.fetch().unwrap() + right.fetch().unwrap()
        }
        let _cluster = cluster(2);
        assert_eq!(workers(), [WorkerId(1), WorkerId(2), WorkerId(3)]);
        for worker in 1..=3 {
            assert_eq!(spawn!(tree(6), scope = Scope::worker(worker)).fetch().unwrap(), 64);
        }
    });
}

#[test]
fn a02_workers_that_come_later_get_tasks() {
    alone(1, || {
        let cluster = cluster(1);
        let early = spawn!(my_id(), scope = Scope::worker(3)).fetch().unwrap_err();
        assert!(early.is_scheduling(), "{early}");
        assert_eq!(cluster.add_workers(2).unwrap(), [WorkerId(3), WorkerId(4)]);
        for worker in [3, 4] {
            assert_eq!(spawn!(my_id(), scope = Scope::worker(worker)).fetch().unwrap(), WorkerId(worker));
        }
        assert_eq!(cluster.workers().len(), 4);
    });
}

#[test]
fn a13_scope_worker_runs_there() {
    alone(2, || {
        let _cluster = cluster(2);
        let busy: Vec<_> = (0..4).map(|_| spawn!(spin(20_000_000), scope = Scope::worker(2))).collect();
        for _ in 0..100 {
            assert_eq!(spawn!(my_id(), scope = Scope::worker(2)).fetch().unwrap(), WorkerId(2));
        }
        wait_all(&busy);
        let mut processes = vec![std::process::id(), process_of(2), process_of(3)];
        processes.dedup();
        assert_eq!(processes.len(), 3);
        fn spin(turns: u64) -> u64 {
            (0..turns).fold(0, |sum, turn| std::hint::black_box(sum ^ turn))
        }
    });
}

#[test]
fn a14_a_scope_that_nothing_fits_is_an_error_that_tells_what_there_is() {
    alone(1, || {
        let _cluster = cluster(1);
        let error = spawn!(my_id(), scope = Scope::worker(7)).fetch().unwrap_err();
        assert!(error.is_scheduling());
        let text = error.to_string();
        for word in ["worker 7", "w1/cpu0", "w2/cpu1"] {
            assert!(text.contains(word), "{text}");
        }
        let scope = Scope::worker(2) & !Scope::worker(2);
        assert!(spawn!(my_id(), scope = scope).fetch().unwrap_err().is_scheduling());
    });
}

#[test]
fn scopes_name_processors_of_workers() {
    alone(2, || {
        let _cluster = cluster(2);
        let there = |scope: Scope| spawn!(current_processor(), scope = scope).fetch().unwrap().unwrap();
        for index in [0, 1, 0, 1] {
            let processor = poniard::ProcessorId { worker: WorkerId(3), index };
            assert_eq!(there(Scope::worker(3).thread(index)), processor);
            assert_eq!(there(Scope::exact(processor)), processor);
        }
        for _ in 0..20 {
            let worker = there(Scope::workers([2, 3])).worker;
            assert!([WorkerId(2), WorkerId(3)].contains(&worker));
            assert_eq!(there(!Scope::worker(1) & !Scope::worker(2)).worker, WorkerId(3));
        }
    });
}

#[test]
fn tasks_for_either_of_two_workers_are_shared_out() {
    alone(1, || {
        let _cluster = cluster(2);
        let tasks: Vec<_> =
            (0..40).map(|_| spawn!(sharing::work(3), scope = Scope::workers([2, 3]))).collect();
        let ran = fetch_all(&tasks).unwrap();
        let of = |worker| ran.iter().filter(|ran| **ran == WorkerId(worker)).count();
        assert!(of(2) >= 10 && of(3) >= 10, "{ran:?}");
    });
}

#[test]
fn every_kind_of_argument_and_result_crosses() {
    alone(2, || {
        let _cluster = cluster(1);
        let there = || Scope::worker(2);
        let four = spawn!(add(1, 3));
        assert_eq!(spawn!(add_to(1, &four), scope = there()).fetch().unwrap(), 5);
        let text = spawn!(|| "a".to_owned());
        fn join(texts: &[&String], own: String, pair: (u8, Option<f64>)) -> String {
            format!(
                "{}{own}{}{:?}",
                texts.iter().map(|text| text.as_str()).collect::<String>(),
                pair.0,
                pair.1
            )
        }
        let both = [text.clone(), text.clone()];
        let joined = spawn!(join(&both, text, (7, Some(0.5))), scope = there());
        assert_eq!(joined.fetch().unwrap(), "aaa7Some(0.5)");
        // A result there is an argument here, and there again.
        let length = spawn!((|text: &String| text.len() as i64)(&joined), scope = there());
        assert_eq!(spawn!(add_to(1, &length)).fetch().unwrap(), 14);
    });
}

#[test]
fn large_values_cross_whole() {
    alone(2, || {
        let _cluster = cluster(1);
        // Below and above what goes as one message.
        for len in [1_000, 40_000, 300_000, 3_000_000] {
            let numbers: Vec<f64> = (0..len).map(f64::from).collect();
            let here = put(numbers.clone()).unwrap();
            let doubled = spawn!(
                (|numbers: &Vec<f64>| numbers.iter().map(|x| 2.0 * x).collect::<Vec<f64>>())(&here),
                scope = Scope::worker(2)
            );
            let doubled = doubled.fetch().unwrap();
            assert_eq!(doubled.len(), numbers.len());
            assert!(doubled.iter().zip(&numbers).all(|(double, one)| *double == 2.0 * one));
        }
    });
}

#[test]
fn many_small_tasks_cross() {
    alone(2, || {
        let _cluster = cluster(2);
        let tasks: Vec<_> =
            (0..20_000_i64).map(|number| spawn!(add(number, 1), scope = Scope::workers([2, 3]))).collect();
        let sum: i64 = fetch_all(&tasks).unwrap().iter().sum();
        assert_eq!(sum, (1..=20_000).sum::<i64>());
    });
}

#[test]
fn b33_single_runs_on_that_worker() {
    alone(1, || {
        let _cluster = cluster(1);
        assert_eq!(spawn!(my_id(), single = 1).fetch().unwrap(), WorkerId(1));
        assert_eq!(spawn!(my_id(), single = 2).fetch().unwrap(), WorkerId(2));
    });
}

#[test]
fn b34_single_through_options() {
    alone(1, || {
        let _cluster = cluster(1);
        for worker in [1, 2] {
            let ran = with_options(Options::new().single(worker), || spawn!(my_id()));
            assert_eq!(ran.fetch().unwrap(), WorkerId(worker));
        }
    });
}

#[test]
fn what_a_task_spawns_there_is_that_workers_own() {
    alone(2, || {
        let _cluster = cluster(1);
        fn square(x: u64) -> (u64, WorkerId) {
            (x * x, my_id())
        }
        fn nested() -> Vec<(u64, WorkerId)> {
            let tasks: Vec<_> = (0..100).map(|x| spawn!(square(x))).collect();
            fetch_all(&tasks).unwrap()
        }
        let made = spawn!(nested(), scope = Scope::worker(2)).fetch().unwrap();
        assert!(made.iter().enumerate().all(|(x, (square, _))| *square == (x * x) as u64));
        // The others are idle and may take some of them; the first of all began before anybody could.
        assert!(made.iter().any(|(_, worker)| *worker == WorkerId(2)), "{made:?}");
    });
}

#[test]
fn what_cannot_leave_is_an_error_that_says_why() {
    alone(1, || {
        let _cluster = cluster(1);
        let captured = 4;
        let local = with_options(Options::new().scope(Scope::worker(2)), || spawn!(move || captured + 1));
        let error = local.fetch_ref().map(drop).unwrap_err().to_string();
        assert!(error.contains("a closure with captures") && error.contains("worker 2"), "{error}");
        let pinned = spawn!(|| Pinned(4));
        let error =
            spawn!((|four: &i32| *four)(&pinned), scope = Scope::worker(2)).fetch().unwrap_err().to_string();
        assert!(error.contains("Pinned<i32>"), "{error}");
        let made = spawn!((|four: i32| Pinned(four))(4), scope = Scope::worker(2));
        let error = made.fetch_ref().map(drop).unwrap_err().to_string();
        assert!(error.contains("its result is pinned to the process that makes it"), "{error}");
    });
}
