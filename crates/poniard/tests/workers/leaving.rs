//! Workers that are removed, and workers that come and go while tasks run.

use super::*;

/// A folder of this test alone, which goes with it.
pub(super) struct Files(pub(super) std::path::PathBuf);

impl Files {
    pub(super) fn new() -> Files {
        let folder = std::env::temp_dir().join(format!("poniard-leaving-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Files(folder)
    }

    pub(super) fn name(&self, file: &str) -> String {
        self.0.join(file).to_string_lossy().into_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_worker_that_had_handles_which_it_never_needed_goes() {
    alone(1, || {
        fn lets_go((task,): (DTask<i64>,)) {
            drop(task);
        }
        let cluster = cluster(2);
        let task = spawn!((|| 5)(), single = 1);
        spawn!(lets_go((task.clone(),)), scope = Scope::worker(3)).fetch().unwrap();
        cluster.remove_worker(3).unwrap();
        assert_eq!(task.fetch().unwrap(), 5);
    });
}

#[test]
fn f23_a_removed_worker_ends_what_it_has_and_goes() {
    alone(1, || {
        let (cluster, files) = (cluster(2), Files::new());
        let process = process_of(3);
        /// Runs once, or there is a file already.
        fn once(file: String, end: String) -> WorkerId {
            std::fs::OpenOptions::new().write(true).create_new(true).open(file).unwrap();
            if !end.is_empty() {
                wait_for(&end);
            }
            my_id()
        }
        let end = files.name("end");
        let there: Vec<_> = (0..2)
            .map(|number| {
                spawn!(once(files.name(&format!("there-{number}")), end.clone()), scope = Scope::worker(3))
            })
            .collect();
        until("both run", || {
            (0..2).all(|number| Path::new(&files.name(&format!("there-{number}"))).exists())
        });
        // These wait behind them: there, or for either of two.
        let behind = spawn!(once(files.name("behind"), String::new()), scope = Scope::worker(3));
        let either: Vec<_> = (0..40)
            .map(|number| {
                let file = files.name(&format!("either-{number}"));
                spawn!(once(file, String::new()), scope = Scope::workers([2, 3]))
            })
            .collect();
        std::thread::scope(|scope| {
            let removed = scope.spawn(|| cluster.remove_worker(3));
            until("it is no worker any more", || cluster.workers() == [WorkerId(1), WorkerId(2)]);
            // What waited there and fits elsewhere has gone there, though nothing has ended on that worker.
            assert!(fetch_all(&either).unwrap().iter().all(|ran| *ran == WorkerId(2)));
            assert!(is_alive(process) && !removed.is_finished());
            std::fs::write(&end, "").unwrap();
            removed.join().unwrap().unwrap();
        });
        assert!(!is_alive(process), "it was waited for");
        assert_eq!(fetch_all(&there).unwrap(), [WorkerId(3); 2]);
        assert_eq!(behind.fetch().unwrap(), WorkerId(3), "it was there before");
        let error = spawn!(my_id(), scope = Scope::worker(3)).fetch().unwrap_err();
        assert!(error.is_scheduling() && error.to_string().contains("gone are w3 (was removed)"), "{error}");
        assert_eq!(cluster.add_workers(1).unwrap(), [WorkerId(4)], "numbers are not given twice");
    });
}

#[test]
fn the_large_result_of_the_last_task_of_a_removed_worker_arrives() {
    const COUNT: usize = 400_000;
    /// Many small values: they are written as one large message.
    fn words(file: String, begun: String) -> Vec<String> {
        std::fs::File::create_new(file).expect("it runs once");
        std::fs::write(begun, "").unwrap();
        (0..COUNT).map(|number| format!("the word with the number {number}")).collect()
    }
    alone(1, || {
        let (cluster, files) = (cluster(1), Files::new());
        let begun = files.name("begun");
        let task = spawn!(words(files.name("once"), begun.clone()), scope = Scope::worker(2));
        wait_for(&begun);
        cluster.remove_worker(2).unwrap();
        let words = task.fetch().unwrap();
        assert_eq!((words.len(), &*words[COUNT - 1]), (COUNT, "the word with the number 399999"));
    });
}

#[test]
fn a_worker_that_cannot_be_removed_is_an_error_that_says_why() {
    alone(1, || {
        let cluster = cluster(3);
        let refused = |worker: u32| cluster.remove_worker(worker).unwrap_err().to_string();
        assert_eq!(refused(1), "cannot remove w1: it is this process; drop the cluster to end it");
        assert_eq!(refused(9), "cannot remove w9: there is no w9; those that can be removed are: w2, w3, w4");
        signal("-9", process_of(2));
        until("it is gone", || cluster.workers().len() == 3);
        assert_eq!(refused(2), "cannot remove w2: w2 has ended before: its process was killed by signal 9");
        cluster.remove_worker(3).unwrap();
        assert_eq!(refused(3), "cannot remove w3: w3 was removed before");
        // One that does not end its tasks leaves all the same.
        let files = Files::new();
        let (begun, end) = (files.name("begun"), files.name("end"));
        fn waits(begun: String, end: String) -> WorkerId {
            std::fs::write(begun, "").unwrap();
            wait_for(&end);
            my_id()
        }
        let task = spawn!(waits(begun.clone(), end.clone()), scope = Scope::worker(4));
        until("it runs", || Path::new(&begun).exists());
        let error = cluster.remove_worker_within(4, PATIENCE).unwrap_err().to_string();
        assert!(error.contains("w4 takes nothing more, and still has tasks after 300ms"), "{error}");
        assert_eq!(cluster.workers(), [WorkerId(1)]);
        std::fs::write(end, "").unwrap();
        cluster.remove_worker(4).unwrap();
        assert_eq!(task.fetch().unwrap(), WorkerId(4));
    });
}

#[test]
fn a_worker_that_is_killed_while_it_leaves_is_lost_and_its_tasks_run_elsewhere() {
    alone(1, || {
        let (cluster, files) = (cluster(2), Files::new());
        let process = process_of(3);
        let begun = files.name("begun");
        fn long(begun: String) -> WorkerId {
            if my_id() == WorkerId(3) {
                std::fs::write(begun, "").unwrap();
                until("it is killed", || false);
            }
            my_id()
        }
        let tasks: Vec<_> =
            (0..8).map(|_| spawn!(long(begun.clone()), scope = Scope::workers([2, 3]))).collect();
        until("one runs", || Path::new(&begun).exists());
        std::thread::scope(|scope| {
            let removed = scope.spawn(|| cluster.remove_worker(3));
            until("it leaves", || cluster.workers().len() == 2);
            signal("-9", process);
            let error = removed.join().unwrap().unwrap_err().to_string();
            assert_eq!(
                error,
                "cannot remove w3: w3 ended before it had left: its process was killed by signal 9"
            );
        });
        assert_eq!(fetch_all(&tasks).unwrap(), [WorkerId(2); 8]);
    });
}

#[test]
fn a_task_that_becomes_ready_when_its_worker_is_removed_fails_and_says_so() {
    alone(1, || {
        let (cluster, files) = (cluster(1), Files::new());
        let end = files.name("end");
        let first = spawn!((|end: String| wait_for(&end))(end.clone()), scope = Scope::worker(1));
        fn after(_: &()) -> WorkerId {
            my_id()
        }
        let second = spawn!(after(&first), scope = Scope::worker(2));
        cluster.remove_worker(2).unwrap();
        std::fs::write(end, "").unwrap();
        let error = second.fetch().unwrap_err();
        assert!(error.is_scheduling(), "{error}");
        assert!(error.to_string().contains("gone are w2 (was removed)"), "{error}");
        assert!(error.to_string().contains("no such worker came for 0.3 s"), "{error}");
    });
}

/// Works for 2 ms, and fails if it has run before.
fn marked(folder: String, number: u64) -> (u64, WorkerId) {
    let file = Path::new(&folder).join(number.to_string());
    std::fs::OpenOptions::new().write(true).create_new(true).open(file).unwrap();
    (number * number, sharing::work(2))
}

#[test]
fn f23_workers_that_flap_every_200_ms_work_while_they_are_there_and_nothing_runs_twice() {
    alone(1, || {
        let cluster = Cluster::local().workers(1).threads(1).start().unwrap();
        let files = Files::new();
        let folder = files.0.to_string_lossy().into_owned();
        let (mut tasks, mut came) = (Vec::new(), Vec::new());
        for turn in 0..25_u64 {
            tasks.extend((200 * turn..200 * (turn + 1)).map(|number| spawn!(marked(folder.clone(), number))));
            let worker = cluster.add_workers(1).unwrap()[0];
            std::thread::sleep(Duration::from_millis(200));
            cluster.remove_worker(worker).unwrap();
            came.push(worker);
        }
        let ran = fetch_all(&tasks).unwrap();
        assert!((0..).zip(&ran).all(|(number, (square, _))| *square == number * number));
        let worked = came.iter().filter(|worker| ran.iter().any(|(_, on)| on == *worker)).count();
        assert!(worked >= 5, "{worked} of {} that came have worked", came.len());
        assert_eq!(cluster.workers(), [WorkerId(1), WorkerId(2)]);
    });
}

#[test]
fn f23_workers_come_and_go_while_tasks_run_and_none_runs_twice() {
    alone(1, || {
        let cluster = Cluster::local().workers(2).threads(1).start().unwrap();
        let files = Files::new();
        let folder = files.0.to_string_lossy().into_owned();
        let tasks: Vec<_> = (0..600_u64).map(|number| spawn!(marked(folder.clone(), number))).collect();
        // Added and removed from two threads at once.
        std::thread::scope(|scope| {
            let adds =
                scope.spawn(|| (0..3).flat_map(|_| cluster.add_workers(1).unwrap()).collect::<Vec<_>>());
            for worker in [2, 3] {
                cluster.remove_worker(worker).unwrap();
            }
            for worker in adds.join().unwrap() {
                cluster.remove_worker(worker).unwrap();
            }
        });
        assert_eq!(cluster.workers(), [WorkerId(1)]);
        for (number, (square, _)) in (0..).zip(fetch_all(&tasks).unwrap()) {
            assert_eq!(square, number * number);
        }
    });
}

#[test]
fn f23_who_comes_late_gets_work_within_a_second() {
    alone(1, || {
        let cluster = Cluster::local().workers(1).threads(1).start().unwrap();
        let files = Files::new();
        let (first, end) = (files.name("first"), files.name("end"));
        fn turn(first: String, end: String) -> WorkerId {
            if my_id() == WorkerId(3) {
                std::fs::write(first, "").unwrap();
            }
            sharing::work(if Path::new(&end).exists() { 0 } else { 20 });
            my_id()
        }
        let tasks: Vec<_> = (0..3_000).map(|_| spawn!(turn(first.clone(), end.clone()))).collect();
        cluster.add_workers(1).unwrap();
        let joined = Instant::now();
        until("it has a task", || Path::new(&first).exists());
        assert!(joined.elapsed() < Duration::from_secs(1), "{:?}", joined.elapsed());
        std::fs::write(end, "").unwrap();
        assert!(fetch_all(&tasks).unwrap().contains(&WorkerId(3)));
    });
}

#[test]
fn what_others_have_handles_of_is_with_them_when_its_worker_has_left() {
    alone(1, || {
        let cluster = cluster(2);
        fn spawns() -> Vec<DTask<Vec<u64>>> {
            (0..8_u64).map(|number| spawn!((|number: u64| vec![number; 20_000])(number))).collect()
        }
        for worker in [3, 2] {
            let handles = cluster.on(worker, spawns).unwrap();
            cluster.remove_worker(worker).unwrap();
            for (number, task) in (0..).zip(&handles) {
                assert_eq!(task.fetch().unwrap(), vec![number; 20_000]);
            }
        }
        assert_eq!(cluster.workers(), [WorkerId(1)]);
    });
}

#[test]
fn a_handle_of_a_removed_worker_that_is_sent_on_is_read_where_its_value_is() {
    alone(1, || {
        let cluster = cluster(3);
        fn spawns() -> (DTask<Vec<u64>>, DTask<u64>) {
            fn fails() -> u64 {
                panic!("of its own")
            }
            // Else others may run them, and the error names those.
            let here = || Scope::worker(my_id());
            (spawn!((|| vec![5_u64; 20_000])(), scope = here()), spawn!(fails(), scope = here()))
        }
        type Both = (DTask<Vec<u64>>, DTask<u64>);
        fn sum((task, failed): Both) -> (u64, String, Both) {
            let why = failed.fetch().unwrap_err().to_string();
            (task.fetch().unwrap().iter().sum(), why, (task, failed))
        }
        // One is never looked at here.
        let (task, failed) = cluster.on(4, spawns).unwrap();
        cluster.remove_worker(4).unwrap();
        for worker in [2, 3, 2] {
            let both = (task.clone(), failed.clone());
            let (sum, why, (back, _)) = spawn!(sum(both), scope = Scope::worker(worker)).fetch().unwrap();
            assert_eq!((sum, back.id()), (100_000, task.id()));
            assert!(why.contains("of its own") && why.contains("w4"), "{why}");
        }
        // Who got it from here sends it on in its turn.
        fn on(both: Both) -> u64 {
            spawn!(sum(both), scope = Scope::worker(3)).fetch().unwrap().0
        }
        assert_eq!(spawn!(on((task, failed)), scope = Scope::worker(2)).fetch().unwrap(), 100_000);
    });
}
