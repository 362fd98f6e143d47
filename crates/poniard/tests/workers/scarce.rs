//! What the system refuses: descriptors, memory. And what runs out of time.

use super::*;
use poniard::Blob;

/// Limits what a process may have, from now on; `soft` alone, so that it can be raised again.
fn limit(process: u32, what: &str, soft: &str) {
    let process = process.to_string();
    let words = ["--pid", &process, &format!("--{what}={soft}:")];
    let limited = std::process::Command::new("prlimit").args(words).status();
    assert!(limited.unwrap().success(), "prlimit {words:?}");
}

/// A number of the state of a process, in KiB.
fn kib(process: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Open descriptors of a process.
fn descriptors(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

#[test]
fn f25_without_descriptors_a_cluster_is_refused_in_words_and_starts_when_there_are_some() {
    alone(1, || {
        // The first cluster has opened what stays open.
        drop(cluster(1));
        let me = std::process::id();
        limit(me, "nofile", &descriptors(me).to_string());
        let error = Cluster::local().workers(2).threads(1).start().unwrap_err().to_string();
        limit(me, "nofile", "1024");
        assert!(error.contains("cannot start 2 workers"), "{error}");
        assert!(error.contains("Too many open files"), "{error}");
        let _cluster = cluster(2);
        assert_eq!(spawn!(my_id(), scope = Scope::worker(3)).fetch().unwrap(), WorkerId(3));
    });
}

fn bytes(count: usize) -> Blob {
    vec![7_u8; count].into()
}

fn sum(bytes: &Blob) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

#[test]
fn f25_without_memory_files_blocks_cross_as_copies() {
    alone(1, || {
        let cluster = cluster(2);
        let process = process_of(2);
        limit(process, "nofile", &descriptors(process).to_string());
        for _ in 0..10 {
            let block = spawn!(bytes(1 << 20), scope = Scope::worker(2));
            assert_eq!(sum(&block.fetch_ref().unwrap()), 7 << 20);
            assert_eq!(spawn!(sum(&block), scope = Scope::worker(3)).fetch().unwrap(), 7 << 20);
        }
        assert_eq!(cluster.workers().len(), 3, "nobody was lost");
        limit(process, "nofile", "1024");
        assert_eq!(sum(&spawn!(bytes(1 << 20), scope = Scope::worker(2)).fetch().unwrap()), 7 << 20);
    });
}

#[test]
fn f25_without_address_space_a_block_is_the_error_of_its_task() {
    alone(1, || {
        fn block(mib: usize) -> Result<f64, poniard::TileError> {
            let tile = poniard::Tile::<f64>::zeros(&[mib << 17], poniard::Order::Col)?;
            Ok(tile.as_slice(poniard::Order::Col).expect("it is dense").iter().sum())
        }
        let cluster = cluster(1);
        let process = process_of(2);
        // Once, so that what blocks need anyway is there.
        assert_eq!(spawn!(block(1)?, scope = Scope::worker(2)).fetch().unwrap(), 0.0);
        limit(process, "as", &((kib(process, "VmSize:") + (256 << 10)) << 10).to_string());
        let error = spawn!(block(4096)?, scope = Scope::worker(2), name = "large").fetch().unwrap_err();
        assert!(error.to_string().contains("`large`"), "{error}");
        assert!(!error.is_worker_lost() && !error.is_panic(), "{error}");
        assert_eq!(spawn!(block(1)?, scope = Scope::worker(2)).fetch().unwrap(), 0.0, "it goes on");
        assert_eq!(process_of(2), process);
        assert_eq!(cluster.workers().len(), 2);
    });
}

#[test]
fn f22_a_time_limit_ends_a_task_wherever_it_runs_and_whatever_it_does() {
    alone(1, || {
        let _cluster = cluster(1);
        fn sleeps() {
            std::thread::sleep(Duration::from_secs(1));
        }
        fn looks() {
            until("the time is over", cancelled);
        }
        fn waits() {
            spawn!(looks(), scope = Scope::worker(2)).wait();
        }
        let limit = Duration::from_millis(100);
        let there = || Options::new().scope(Scope::worker(2)).timeout(limit);
        let tasks = [
            with_options(there(), || spawn!(sleeps())),
            with_options(there(), || spawn!(looks())),
            with_options(there(), || spawn!(waits())),
        ];
        for task in &tasks {
            let error = task.fetch().unwrap_err();
            assert!(error.is_timeout(), "{error}");
            assert!(error.to_string().contains("100ms"), "{error}");
        }
        // What it held is free again, and what was in time is not touched.
        let both: Vec<_> = (0..4).map(|_| with_options(there().timeout(LIMIT), || spawn!(my_id()))).collect();
        assert_eq!(fetch_all(&both).unwrap(), [WorkerId(2); 4]);
    });
}
