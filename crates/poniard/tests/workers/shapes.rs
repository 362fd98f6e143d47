//! Graphs and values of unusual shapes.

use super::*;
use poniard::Blob;

#[test]
fn f19_the_error_of_a_user_is_told_with_its_causes_and_is_itself_where_it_was_made() {
    alone(1, || {
        #[derive(Debug)]
        struct NoNumber(std::num::ParseIntError);
        impl std::fmt::Display for NoNumber {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the third line is no number")
            }
        }
        impl std::error::Error for NoNumber {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        fn third(text: String) -> Result<i64, NoNumber> {
            text.parse().map_err(NoNumber)
        }
        fn after(x: &i64) -> i64 {
            *x
        }
        let _cluster = cluster(1);
        for worker in [1, 2] {
            let task = spawn!(third("seven".to_owned())?, scope = Scope::worker(worker), name = "third");
            let error = spawn!(after(&task)).fetch().unwrap_err();
            let text = error.to_string();
            for word in ["`third`", "shapes.rs", "the third line is no number"] {
                assert!(text.contains(word), "{text}");
            }
            assert_eq!(error.root().task().unwrap().worker, WorkerId(worker));
            let first: Option<&(dyn std::error::Error + 'static)> = Some(&error);
            let chain: Vec<String> =
                std::iter::successors(first, |error| error.source()).map(ToString::to_string).collect();
            assert!(chain.iter().any(|cause| cause == "invalid digit found in string"), "{chain:?}");
            assert_eq!(error.downcast_ref::<NoNumber>().is_some(), worker == 1);
        }
    });
}

fn add(x: &u64, y: &u64) -> u64 {
    x + y
}

#[test]
fn f26_a_chain_a_fan_and_many_tasks_on_workers_end_and_are_right() {
    alone(2, || {
        let _cluster = cluster(1);
        fn next(x: &u64) -> u64 {
            x + 1
        }
        let mut last = spawn!((|| 0_u64)());
        for _ in 0..100_000 {
            last = spawn!(next(&last));
        }
        assert_eq!(last.fetch().unwrap(), 100_000);
        fn sum(parts: &[&u64]) -> u64 {
            parts.iter().copied().sum()
        }
        let parts: Vec<_> = (0..100_000_u64).map(|number| spawn!((|x: u64| x)(number))).collect();
        assert_eq!(spawn!(sum(&parts), scope = Scope::worker(2)).fetch().unwrap(), 99_999 * 50_000);
        let there: Vec<_> =
            (0..20_000_u64).map(|number| spawn!((|x: u64| x)(number), scope = Scope::worker(2))).collect();
        let pairs: Vec<_> = there.windows(2).map(|pair| spawn!(add(&pair[0], &pair[1]))).collect();
        for (number, sum) in (0..).zip(fetch_all(&pairs).unwrap()) {
            assert_eq!(sum, 2 * number + 1);
        }
    });
}

#[test]
fn f26_what_needs_a_cancelled_task_of_another_worker_fails_as_cancelled() {
    alone(1, || {
        let _cluster = Cluster::local().workers(1).threads(1).start().unwrap();
        fn until_cancelled() -> u64 {
            until("it is cancelled", cancelled);
            0
        }
        let running = spawn!(until_cancelled(), scope = Scope::worker(2));
        let waiting = spawn!((|| 1_u64)(), scope = Scope::worker(2));
        let needs =
            [spawn!(add(&running, &waiting)), spawn!(add(&waiting, &waiting), scope = Scope::worker(2))];
        waiting.cancel();
        running.cancel();
        for task in &needs {
            let error = task.fetch().unwrap_err();
            assert!(error.root().is_cancelled(), "{error}");
        }
        assert_eq!(spawn!(my_id(), scope = Scope::worker(2)).fetch().unwrap(), WorkerId(2));
    });
}

#[test]
fn f27_nothing_and_very_much_cross_and_what_cannot_says_so() {
    alone(1, || {
        let cluster = Cluster::local().workers(2).threads(1).memory("16MiB").start().unwrap();
        fn nothing() {}
        fn empty() -> (Vec<u64>, String, Blob, Option<Box<u64>>) {
            Default::default()
        }
        fn many(count: usize) -> Vec<u64> {
            (0..count as u64).collect()
        }
        fn length(numbers: &[u64]) -> usize {
            numbers.len()
        }
        spawn!(nothing(), scope = Scope::worker(2)).fetch().unwrap();
        assert_eq!(spawn!(empty(), scope = Scope::worker(2)).fetch().unwrap(), empty());
        // Four times what the budget is.
        let large = spawn!(many(8 << 20), scope = Scope::worker(2));
        assert_eq!(spawn!(length(&large), scope = Scope::worker(3)).fetch().unwrap(), 8 << 20);
        assert_eq!(large.fetch_ref().unwrap()[8_000_000], 8_000_000);
        drop(large);
        until("its memory is free", || cluster.memory_usage().resident_bytes == 0);
        fn pinned() -> Pinned<std::sync::mpsc::SyncSender<u64>> {
            Pinned(std::sync::mpsc::sync_channel(1).0)
        }
        let error =
            spawn!(pinned(), scope = Scope::worker(2), name = "channel").fetch_ref().map(drop).unwrap_err();
        assert!(error.is_scheduling() && error.to_string().contains("`channel`"), "{error}");
        assert_eq!(cluster.on(2, my_id).unwrap(), WorkerId(2));
    });
}

#[test]
fn f28_waits_inside_of_waits_go_a_hundred_deep_across_workers_of_one_thread() {
    alone(1, || {
        let _cluster = Cluster::local().workers(2).threads(1).start().unwrap();
        fn down(depth: u32) -> u32 {
            if depth == 0 {
                return 0;
            }
            1 + spawn!(down(depth - 1), scope = Scope::worker(1 + depth % 3)).fetch().unwrap()
        }
        assert_eq!(down(100), 100);
        // And several of them at once, wherever there is room.
        fn anywhere(depth: u32) -> u32 {
            if depth == 0 { 1 } else { spawn!(anywhere(depth - 1)).fetch().unwrap() }
        }
        let tasks: Vec<_> = (0..8).map(|_| spawn!(anywhere(100), scope = !Scope::worker(1))).collect();
        assert_eq!(fetch_all(&tasks).unwrap(), [1; 8]);
    });
}
