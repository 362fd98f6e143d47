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

#[test]
fn a_cancel_of_another_workers_task_is_that_workers_to_carry_out() {
    alone(1, || {
        fn until_cancelled(file: String) -> i64 {
            std::fs::write(&file, "runs").unwrap();
            until("it is cancelled", cancelled);
            std::fs::remove_file(&file).unwrap();
            5
        }
        fn after(x: &i64) -> i64 {
            *x + 1
        }
        fn begun(file: String) -> [DTask<i64>; 3] {
            let there = || Scope::worker(my_id());
            let first = spawn!(until_cancelled(file), scope = there());
            let second = spawn!(after(&first), scope = there());
            let third = spawn!(after(&second), scope = there());
            [first, second, third]
        }
        fn cancels((task,): (DTask<i64>,)) -> i64 {
            task.cancel();
            task.fetch().unwrap()
        }
        let _cluster = cluster(2);
        let file = std::env::temp_dir().join(format!("poniard-cancels-{}", std::process::id()));
        let [first, second, third] =
            spawn!(begun(file.display().to_string()), scope = Scope::worker(2)).fetch().unwrap();
        until("it runs", || file.exists());
        // One that has not begun fails at once, and with it what depends on it.
        second.cancel();
        assert!(second.fetch().unwrap_err().is_cancelled());
        assert!(third.fetch().unwrap_err().is_cancelled());
        assert!(file.exists() && !first.is_ready());
        // One that runs sees it, and ends as it likes; here by the word of one who got the handle from this worker.
        let ended = spawn!(cancels((first.clone(),)), scope = Scope::worker(3)).fetch().unwrap();
        assert_eq!((ended, first.fetch().unwrap(), file.exists()), (5, 5, false));
        // What has ended stays as it is, here and there.
        first.cancel();
        assert_eq!(first.fetch().unwrap(), 5);
        let done = spawn!(three(), scope = Scope::worker(2)).fetch().unwrap();
        until("it has ended there", || done.is_ready());
        assert_eq!(spawn!(cancels((done.clone(),)), scope = Scope::worker(3)).fetch().unwrap(), 3);
    });
}

#[test]
fn a_result_behind_a_handle_is_asked_for_when_somebody_needs_it() {
    alone(1, || {
        const BYTES: usize = 1 << 20;
        fn made(count: usize) -> Vec<DTask<Vec<u8>>> {
            let tasks = (0..count).map(|_| spawn!((|| vec![7_u8; BYTES])(), scope = Scope::worker(my_id())));
            let tasks: Vec<_> = tasks.collect();
            wait_all(&tasks);
            tasks
        }
        let cluster = cluster(1);
        let sent = || {
            let status = cluster.status();
            let traffic = status.workers.iter().find(|other| other.worker == WorkerId(2)).unwrap().traffic;
            traffic.copied_bytes + traffic.lent_bytes
        };
        let tasks = spawn!(made(4), scope = Scope::worker(2)).fetch().unwrap();
        assert!(sent() < BYTES as u64 / 2, "{} bytes came that nobody asked for", sent());
        assert!(tasks[0].explain().contains("is w2's task"), "{}", tasks[0].explain());
        assert_eq!(tasks[0].fetch().unwrap().len(), BYTES);
        until("whoever looks asks", || tasks[1].is_ready());
        fn len(bytes: &Vec<u8>) -> usize {
            bytes.len()
        }
        assert_eq!(spawn!(len(&tasks[2])).fetch().unwrap(), BYTES);
        let came = sent();
        assert!((3 * BYTES as u64..4 * BYTES as u64).contains(&came), "{came} bytes came for three");
    });
}

#[test]
fn a_handle_that_nobody_needed_frees_its_result_there() {
    alone(1, || {
        fn made() -> DTask<Vec<u8>> {
            spawn!((|| vec![7_u8; 8 << 20])(), scope = Scope::worker(my_id()))
        }
        let cluster = cluster(1);
        let task = spawn!(made(), scope = Scope::worker(2)).fetch().unwrap();
        let used = || {
            let status = cluster.status();
            status.workers.iter().find(|other| other.worker == WorkerId(2)).unwrap().memory.resident_bytes
        };
        until("it is made", || used() >= 8 << 20);
        drop(task);
        until("the last handle has freed it there", || used() == 0);
    });
}
