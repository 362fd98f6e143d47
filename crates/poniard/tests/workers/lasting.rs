//! Workers that are replaced, and workers that are stopped, slow or silent.

use super::*;

#[test]
fn a_lost_worker_is_replaced_by_another() {
    alone(1, || {
        let cluster = Cluster::local().workers(2).threads(1).respawn(10).start().unwrap();
        for lost in [2, 3] {
            let before = cluster.workers().len();
            signal("-9", process_of(lost));
            until("it is gone", || !cluster.workers().contains(&WorkerId(lost)));
            until("another has come", || cluster.workers().len() == before);
        }
        assert_eq!(cluster.workers(), [WorkerId(1), WorkerId(4), WorkerId(5)]);
        for worker in [4, 5] {
            assert_eq!(cluster.on(worker, my_id).unwrap(), WorkerId(worker));
        }
        // One that was removed is not.
        cluster.remove_worker(4).unwrap();
        assert_eq!(cluster.workers(), [WorkerId(1), WorkerId(5)]);
        assert_eq!(cluster.add_workers(1).unwrap(), [WorkerId(6)]);
    });
}

#[test]
fn f03_a_task_that_kills_its_workers_fails_though_each_is_replaced() {
    alone(1, || {
        let cluster = Cluster::local().workers(1).threads(1).respawn(10).start().unwrap();
        fn killer() {
            std::process::abort();
        }
        let error = spawn!(killer(), scope = !Scope::worker(1)).fetch().unwrap_err().to_string();
        assert!(
            error.contains("3 workers died while they ran it: w2 by signal 6, w3 by signal 6, w4"),
            "{error}"
        );
        until("the pool is as large as it was", || cluster.workers() == [WorkerId(1), WorkerId(5)]);
    });
}

#[test]
fn workers_that_are_lost_again_and_again_are_replaced_no_more_and_that_is_told() {
    alone(1, || {
        let cluster = Cluster::local().workers(1).threads(1).no_worker_timeout(PATIENCE).respawn(2);
        let cluster = cluster.start().unwrap();
        for worker in 2..=4 {
            until("it has come", || cluster.workers() == [WorkerId(1), WorkerId(worker)]);
            signal("-9", process_of(worker));
        }
        until("the last one is gone", || cluster.workers() == [WorkerId(1)]);
        let error = spawn!(my_id(), scope = !Scope::worker(1)).fetch().unwrap_err().to_string();
        assert!(
            error.contains("workers are not replaced any more: 2 were replaced within a minute"),
            "{error}"
        );
        assert_eq!(cluster.add_workers(1).unwrap(), [WorkerId(5)], "the user may start more");
    });
}

/// A cluster in which silence is death after two seconds.
fn impatient(workers: usize) -> Cluster {
    let cluster = Cluster::local().workers(workers).threads(1).worker_timeout(Duration::from_secs(2));
    cluster.no_worker_timeout(PATIENCE).start().unwrap()
}

#[test]
fn f12_a_stop_within_the_limit_costs_nothing() {
    alone(1, || {
        let cluster = Cluster::local().workers(2).threads(1).start().unwrap();
        let process = process_of(3);
        let tasks: Vec<_> =
            (0..100).map(|_| spawn!(sharing::work(3), scope = Scope::workers([2, 3]))).collect();
        wait_any(&tasks);
        signal("-STOP", process);
        // The other goes on, and those that are with the stopped one wait for it.
        let ended = || tasks.iter().filter(|task| task.is_ready()).count();
        until("the other has ended some", || ended() >= 30);
        signal("-CONT", process);
        fetch_all(&tasks).unwrap();
        assert_eq!(cluster.workers().len(), 3);
        assert_eq!(cluster.on(3, std::process::id).unwrap(), process, "it is the same one");
    });
}

#[test]
fn f08_a_worker_stopped_for_longer_is_lost_and_what_it_says_later_is_nothing() {
    alone(1, || {
        let cluster = impatient(2);
        let process = process_of(3);
        let tasks: Vec<_> =
            (0..60).map(|_| spawn!(sharing::work(3), scope = Scope::workers([2, 3]))).collect();
        wait_any(&tasks);
        signal("-STOP", process);
        let stopped = Instant::now();
        let ran = fetch_all(&tasks).unwrap();
        assert!(ran.contains(&WorkerId(2)));
        until("it is lost", || cluster.workers() == [WorkerId(1), WorkerId(2)]);
        assert!(stopped.elapsed() < Duration::from_secs(10), "{:?}", stopped.elapsed());
        until("its process is ended, for it would live on beside the others", || !is_alive(process));
        let error = cluster.on(3, my_id).unwrap_err().to_string();
        assert!(error.contains("w3 (it was out of reach for too long)"), "{error}");
        assert_eq!(cluster.on(2, my_id).unwrap(), WorkerId(2));
    });
}

#[test]
fn f12_a_stopped_worker_ends_with_the_cluster() {
    alone(1, || {
        let cluster = cluster(2);
        let processes = [process_of(2), process_of(3)];
        signal("-STOP", processes[1]);
        let begin = Instant::now();
        drop(cluster);
        assert!(!processes.into_iter().any(is_alive), "both were waited for");
        assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    });
}

#[test]
fn f12_a_slow_worker_gets_less() {
    alone(1, || {
        let _cluster = Cluster::local().workers(2).threads(1).start().unwrap();
        fn turn() -> WorkerId {
            sharing::work(if my_id() == WorkerId(3) { 40 } else { 4 })
        }
        let tasks: Vec<_> = (0..200).map(|_| spawn!(turn(), scope = Scope::workers([2, 3]))).collect();
        let ran = fetch_all(&tasks).unwrap();
        let slow = ran.iter().filter(|ran| **ran == WorkerId(3)).count();
        assert!((1..=80).contains(&slow), "the slow one ran {slow} of 200");
    });
}

#[test]
fn a_time_limit_that_makes_no_sense_is_refused() {
    alone(1, || {
        let error =
            Cluster::local().workers(1).worker_timeout(Duration::from_millis(10)).start().unwrap_err();
        assert!(error.to_string().contains("a `worker_timeout` of 10ms: it is at least 1s"), "{error}");
    });
}

#[test]
fn programs_that_tasks_start_are_no_clusters_of_the_environment() {
    alone::alone_with(1, &[("PONIARD_WORKERS", "1")], || {
        let inherited = || std::env::var("PONIARD_WORKERS").ok();
        assert_eq!(
            spawn!(|| std::env::var("PONIARD_WORKERS").ok(), scope = Scope::worker(2)).fetch().unwrap(),
            None
        );
        assert_eq!(inherited(), Some("1".to_owned()), "the environment of this process is its user's");
    });
}
