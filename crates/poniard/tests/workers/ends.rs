//! How tasks on other workers end: errors, panics, cancels, time limits; and how workers end.

use super::*;

#[test]
fn a_panic_there_is_an_error_here_and_the_worker_lives() {
    alone(1, || {
        let _cluster = cluster(1);
        let process = process_of(2);
        fn boom(number: i32) -> i32 {
            assert!(number < 0, "number {number} is too large");
            number
        }
        let task = spawn!(boom(3), scope = Scope::worker(2));
        let next = spawn!((|x: &i32| *x)(&task));
        let error = task.fetch().unwrap_err();
        assert!(error.is_panic());
        let text = error.to_string();
        assert!(
            text.contains("on w2") && text.contains("number 3 is too large") && text.contains("ends.rs"),
            "{text}"
        );
        assert!(next.fetch().unwrap_err().is_panic());
        assert_eq!(process_of(2), process);
    });
}

#[test]
fn an_error_there_is_its_text_here() {
    alone(1, || {
        let _cluster = cluster(1);
        fn parse(text: String) -> Result<i32, std::num::ParseIntError> {
            text.parse()
        }
        let error = spawn!(parse("x".to_owned())?, scope = Scope::worker(2)).fetch().unwrap_err();
        assert!(error.to_string().contains("invalid digit"), "{error}");
        let value = spawn!(parse("7".to_owned())?, scope = Scope::worker(2)).fetch().unwrap();
        assert_eq!(value, 7);
    });
}

#[test]
fn retries_run_it_again() {
    alone(1, || {
        let _cluster = cluster(1);
        fn third(file: String) -> Result<usize, std::io::Error> {
            use std::io::Write;
            let mut attempts = std::fs::OpenOptions::new().create(true).append(true).open(&file)?;
            attempts.write_all(b"x")?;
            let attempts = std::fs::read(&file)?.len();
            if attempts < 3 { Err(std::io::Error::other("not yet")) } else { Ok(attempts) }
        }
        let file = std::env::temp_dir().join(format!("poniard-attempts-{}", std::process::id()));
        let name = file.to_string_lossy().into_owned();
        let ran = spawn!(third(name.clone())?, scope = Scope::worker(2), retries = 5).fetch();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(ran.unwrap(), 3);
        // So often, and no more.
        fn never(file: String) -> Result<usize, std::io::Error> {
            use std::io::Write;
            std::fs::OpenOptions::new().create(true).append(true).open(&file)?.write_all(b"x")?;
            Err(std::io::Error::other("never"))
        }
        let error = spawn!(never(name)?, scope = Scope::worker(2), retries = 3).fetch().unwrap_err();
        let attempts = std::fs::read(&file).unwrap().len();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(attempts, 4);
        assert!(error.to_string().contains("attempt 4") && error.to_string().contains("never"), "{error}");
    });
}

#[test]
fn a_cancel_reaches_the_task_there() {
    alone(1, || {
        let _cluster = cluster(1);
        fn until_cancelled(file: String) {
            std::fs::write(&file, "runs").unwrap();
            until("it is cancelled", cancelled);
            std::fs::remove_file(&file).unwrap();
        }
        let file = std::env::temp_dir().join(format!("poniard-cancel-{}", std::process::id()));
        let task = spawn!(until_cancelled(file.to_string_lossy().into_owned()), scope = Scope::worker(2));
        until("it runs", || file.exists());
        task.cancel();
        assert!(task.fetch().unwrap_err().is_cancelled());
        until("it has ended there", || !file.exists());
    });
}

#[test]
fn a_time_limit_holds_there() {
    alone(1, || {
        let _cluster = cluster(1);
        fn forever() {
            until("it is over", cancelled);
        }
        let limit = Duration::from_millis(100);
        let error = spawn!(forever(), scope = Scope::worker(2), timeout = limit).fetch().unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert_eq!(spawn!(my_id(), scope = Scope::worker(2)).fetch().unwrap(), WorkerId(2));
    });
}

#[test]
fn f22_a_time_limit_that_runs_out_there_counts_for_retries() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    /// Gives which attempt it is when so many have run out of time.
    fn slow_at_first(slow: u32) -> (u32, WorkerId) {
        let attempt = ATTEMPTS.fetch_add(1, Ordering::SeqCst);
        if attempt < slow {
            until("its time is over", cancelled);
        }
        (attempt, my_id())
    }
    alone(1, || {
        let _cluster = cluster(1);
        let (limit, retries) = (Duration::from_millis(200), Retries::new(2).on_error(false));
        let there = |slow: u32| {
            let retries = retries.clone();
            spawn!(slow_at_first(slow), scope = Scope::worker(2), timeout = limit, retries = retries)
        };
        assert_eq!(there(2).fetch().unwrap(), (2, WorkerId(2)));
        let error = there(9).fetch().unwrap_err();
        assert!(error.is_timeout() && error.to_string().contains("on w2, attempt 3"), "{error}");
    });
}

#[test]
fn workers_end_with_the_cluster_and_another_can_start() {
    alone(1, || {
        for _ in 0..3 {
            let first = cluster(2);
            let processes = [process_of(2), process_of(3)];
            assert!(processes.into_iter().all(is_alive));
            drop(first);
            assert!(!processes.into_iter().any(is_alive), "they were waited for");
            let folders = folders(std::process::id());
            assert!(folders.is_empty(), "{folders:?}");
        }
    });
}

/// The folders in which workers of a process meet.
fn folders(process: u32) -> Vec<std::path::PathBuf> {
    let parent = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| "/tmp".into(), std::path::PathBuf::from);
    let mark = format!("poniard-{process}-");
    let entries = std::fs::read_dir(parent).unwrap().flatten().map(|entry| entry.path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&mark)).collect()
}

#[test]
fn workers_of_the_environment_end_with_the_process() {
    // The harness of the test waits until nobody has its output open any more: the workers have it, too.
    alone::alone_with(1, &[("PONIARD_WORKERS", "2")], || {
        assert_eq!(spawn!(my_id(), scope = Scope::worker(3)).fetch().unwrap(), WorkerId(3));
    });
}

#[test]
fn f06_workers_die_with_worker_1_whatever_kills_it() {
    alone(1, || {
        let _cluster = cluster(1);
        // A worker that is worker 1 of workers of its own, and is killed.
        let mut program = Program::start();
        let processes = program.processes();
        let first = &mut program.0;
        assert!(processes.iter().copied().all(is_alive));
        let begin = Instant::now();
        first.kill().unwrap();
        first.wait().unwrap();
        until("the workers are gone", || !processes.iter().copied().any(is_alive));
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        assert!(folders(first.id()).is_empty(), "{:?}", folders(first.id()));
    });
}

#[test]
fn f29_two_clusters_side_by_side_share_nothing_and_the_end_of_one_is_nothing_to_the_other() {
    alone(1, || {
        let _cluster = cluster(1);
        let mut programs = [Program::start(), Program::start()];
        let [first, second] = [programs[0].processes(), programs[1].processes()];
        let all: std::collections::BTreeSet<u32> = first.iter().chain(&second).copied().collect();
        assert_eq!(all.len(), 4, "{first:?} and {second:?}");
        let places = programs.each_ref().map(|program| folders(program.0.id()));
        assert!(places.iter().all(|place| place.len() == 1) && places[0] != places[1], "{places:?}");
        programs[0].0.kill().unwrap();
        programs[0].0.wait().unwrap();
        until("its workers are gone", || !first.iter().copied().any(is_alive));
        assert!(second.iter().copied().all(is_alive));
        assert_eq!(folders(programs[1].0.id()), places[1]);
        assert_eq!(spawn!(my_id(), scope = Scope::worker(2)).fetch().unwrap(), WorkerId(2));
    });
}

/// A program with two workers, which ends when this is dropped.
struct Program(std::process::Child);

impl Program {
    fn start() -> Program {
        let mut program = std::process::Command::new(std::env::current_exe().unwrap());
        program.args(["ends::is_worker_1", "--exact", "--nocapture"]).env(WORKER_1, "1");
        program.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
        Program(program.spawn().unwrap())
    }

    /// Those of its workers, as it prints them.
    fn processes(&mut self) -> Vec<u32> {
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(self.0.stdout.take().unwrap()));
        let line = lines.find_map(|line| line.unwrap().strip_prefix("workers ").map(str::to_owned)).unwrap();
        line.split(' ').map(|process| process.parse().unwrap()).collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Tells the program of the test above that it is meant.
const WORKER_1: &str = "PONIARD_TEST_WORKER_1";

/// The program of the test above; as a test of its own it does nothing.
#[test]
fn is_worker_1() {
    if std::env::var_os(WORKER_1).is_none() {
        return;
    }
    let _cluster = cluster(2);
    println!("workers {} {}", process_of(2), process_of(3));
    // One is busy, and none looks at anything.
    fn spin() {
        until("the time is over", || false);
    }
    spawn!(spin(), scope = Scope::worker(2)).fetch().unwrap();
}

#[test]
fn a_cluster_that_makes_no_sense_is_refused_in_words() {
    alone(1, || {
        let refused = Cluster::local().workers(100_000).start().unwrap_err().to_string();
        assert!(refused.contains("100000 workers on one machine: it takes at most 256"), "{refused}");
    });
}
