//! Handles that cross, inside arguments and results.

use super::*;

fn add(x: i64, y: i64) -> i64 {
    x + y
}

fn three() -> DTask<i64> {
    spawn!(add(1, 2))
}

#[test]
fn b17_a_handle_of_another_worker_is_fetched_here() {
    alone(1, || {
        let _cluster = cluster(1);
        let task = spawn!(three(), scope = Scope::worker(2)).fetch().unwrap();
        assert_eq!(task.fetch().unwrap(), 3);
        assert_eq!(spawn!(add(task, 4)).fetch().unwrap(), 7, "and it is an argument like others");
    });
}

#[test]
fn a_handle_of_this_worker_is_fetched_there_and_comes_back_as_itself() {
    alone(1, || {
        fn fetched((task,): (DTask<i64>,)) -> (i64, DTask<i64>) {
            (task.fetch().unwrap(), task)
        }
        let _cluster = cluster(2);
        let task = spawn!(add(20, 22), scope = Scope::worker(1));
        for worker in [2, 3, 2] {
            let (value, back) =
                spawn!(fetched((task.clone(),)), scope = Scope::worker(worker)).fetch().unwrap();
            assert_eq!((value, back.id()), (42, task.id()));
        }
    });
}

#[test]
fn a_handle_goes_on_from_worker_to_worker() {
    alone(1, || {
        fn passed_on((task, path): (DTask<i64>, Vec<u32>)) -> (DTask<i64>, i64) {
            let Some((next, rest)) = path.split_first() else { return (task.clone(), task.fetch().unwrap()) };
            spawn!(passed_on((task, rest.to_vec())), scope = Scope::worker(*next)).fetch().unwrap()
        }
        let _cluster = cluster(3);
        let task = spawn!(three(), scope = Scope::worker(4)).fetch().unwrap();
        let (back, value) = passed_on((task.clone(), vec![2, 3, 1, 4, 3, 2]));
        assert_eq!((value, back.fetch().unwrap()), (3, 3));
        assert_eq!(back.id(), task.id(), "it is the same handle here");
    });
}

#[test]
fn many_handles_cross_at_once_and_none_is_left() {
    alone(1, || {
        fn children(count: i64) -> Vec<DTask<i64>> {
            (0..count).map(|number| spawn!(add(number, number))).collect()
        }
        fn sum(tasks: Vec<DTask<i64>>) -> i64 {
            tasks.iter().map(|task| task.fetch().unwrap()).sum()
        }
        let _cluster = cluster(2);
        for _ in 0..5 {
            let tasks = spawn!(children(200), scope = Scope::worker(2)).fetch().unwrap();
            assert_eq!(spawn!(sum(tasks), scope = Scope::worker(3)).fetch().unwrap(), 199 * 200);
        }
    });
}

#[test]
fn a_block_behind_a_handle_is_read_where_it_lies() {
    alone(1, || {
        fn made() -> DTask<poniard::Blob> {
            // Else the other worker may take it, which has nothing to do.
            spawn!(poniard::Blob::from(vec![7_u8; 8 << 20]), scope = Scope::worker(2))
        }
        let cluster = cluster(1);
        let task = spawn!(made(), scope = Scope::worker(2)).fetch().unwrap();
        assert_eq!(task.fetch_ref().unwrap().iter().map(|byte| u64::from(*byte)).sum::<u64>(), 7 << 23);
        assert!(cluster.traffic().copied_bytes < 10_000);
        let used = || spawn!(blocks::in_use(), scope = Scope::worker(2)).fetch().unwrap();
        assert_eq!(used(), 8 << 20);
        drop(task);
        until("the last handle has freed it there", || used() == 0);
    });
}

#[test]
fn an_error_behind_a_handle_is_told_as_it_was() {
    alone(1, || {
        fn fails() -> Result<i64, std::num::ParseIntError> {
            "seven".parse()
        }
        fn failing() -> DTask<i64> {
            spawn!(fails()?)
        }
        let _cluster = cluster(1);
        let task = spawn!(failing(), scope = Scope::worker(2)).fetch().unwrap();
        let error = task.fetch().unwrap_err();
        assert!(error.to_string().contains("invalid digit"), "{error}");
        let error = spawn!(add(task, 1)).fetch().unwrap_err();
        assert!(error.to_string().contains("invalid digit"), "{error}");
    });
}

#[test]
fn a_handle_of_a_lost_worker_fails_and_what_was_fetched_stays() {
    alone(1, || {
        fn slow(file: String) -> i64 {
            wait_for(&file);
            5
        }
        fn two(file: String) -> (DTask<i64>, DTask<i64>) {
            (spawn!(add(2, 2)), spawn!(slow(file)))
        }
        let _cluster = cluster(1);
        let folder = std::env::temp_dir().join(format!("poniard-handles-{}", std::process::id()));
        let (quick, slow) =
            spawn!(two(folder.display().to_string()), scope = Scope::worker(2)).fetch().unwrap();
        assert_eq!(quick.fetch().unwrap(), 4);
        signal("-9", process_of(2));
        let error = slow.fetch().unwrap_err();
        assert!(error.is_worker_lost(), "{error}");
        assert!(error.to_string().contains("lost with w2"), "{error}");
        assert_eq!(quick.fetch().unwrap(), 4);
    });
}
