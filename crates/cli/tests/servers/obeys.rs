//! The program of these tests: it does what is told it on the standard input.

use super::stage::{LIMIT, MARK, SAYS};
use super::{blocks, rests};
use poniard::prelude::*;
use poniard::{Order, Tile};
use std::time::{Duration, Instant};

/// Something that never changes, and is in the executable.
pub(crate) static BUILD: &[u8] = b"the build of the program of these tests: p";

/// The program; as a test of its own it does nothing.
#[test]
fn program() {
    if std::env::var_os(MARK).is_none() {
        return;
    }
    std::hint::black_box(BUILD);
    // No test lasts so long.
    std::thread::spawn(|| {
        std::thread::sleep(4 * LIMIT);
        std::process::exit(9);
    });
    let respawn = std::env::var("PONIARD_TEST_RESPAWN").map_or(0, |text| text.parse().unwrap());
    let mut cluster = match Cluster::from_env().respawn(respawn).start() {
        Ok(cluster) => Some(cluster),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(4);
        }
    };
    say(format!("begins with {}", here()));
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let mut words = line.split(' ');
        let (order, number) =
            (words.next().unwrap_or_default(), words.next().map(|word| word.parse().unwrap()));
        match (order, number) {
            ("exit", Some(status)) => std::process::exit(status),
            ("abort", _) => std::process::abort(),
            ("who", _) => say(here()),
            ("processes", _) => say(processes()),
            ("until", Some(count)) => {
                wait_until(count as usize);
                say(here());
            }
            ("work", Some(count)) => say(work(count).to_string()),
            ("begin", Some(count)) => begin(count),
            ("runs", _) => say(runs()),
            ("wait", _) => say(wait()),
            ("block", Some(megabytes)) => say(blocks::by_a_line(megabytes as usize)),
            ("blocks", Some(count)) => say(blocks::one_after_another(count as usize)),
            ("home", Some(megabytes)) => say(blocks::home(megabytes as usize)),
            ("rests", Some(megabytes)) => say(rests::rests(megabytes as usize)),
            ("keep", _) => say(rests::keep(false)),
            ("keephome", _) => say(rests::keep(true)),
            ("kept", Some(reader)) => say(rests::kept(reader as u32)),
            ("look", _) => say(rests::look()),
            ("storm", Some(seed)) => say(rests::storm(seed)),
            ("busy", _) => say(rests::busy()),
            ("spread", Some(count)) => say(rests::spread(count as usize)),
            ("chain", Some(steps)) => say(rests::chain(steps as usize)),
            ("many", Some(count)) => say(rests::many(count as usize)),
            ("remove", Some(worker)) => {
                let removed = cluster.as_ref().unwrap().remove_worker(WorkerId(worker as u32));
                say(removed.map_or_else(|error| error.to_string(), |()| "removed".to_owned()));
            }
            ("panic", Some(worker)) => say(panic_on(worker as u32)),
            ("lent", Some(mebibytes)) => say(lent(cluster.as_ref().unwrap(), mebibytes as usize)),
            ("add", Some(count)) => {
                let added = cluster.as_ref().unwrap().add_workers(count as usize);
                say(added.map_or_else(|error| error.to_string(), |added| format!("added {}", added.len())));
            }
            ("child", _) => say(child()),
            ("end", _) => {
                drop(cluster.take());
                say("ended".to_owned());
            }
            _ => panic!("what is {line}?"),
        }
    }
}

fn say(what: String) {
    println!("{SAYS}{what}");
}

/// The workers, as in `1 2 3`.
fn here() -> String {
    let names: Vec<String> = workers().iter().map(|worker| worker.0.to_string()).collect();
    names.join(" ")
}

/// What this same program says as a program that it starts itself.
fn child() -> String {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(super::stage::ARGUMENTS).stdin(std::process::Stdio::null());
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    said.lines().find_map(|line| Some(format!("it {}", line.split_once(SAYS)?.1))).unwrap()
}

fn processes() -> String {
    let of = |worker: WorkerId| spawn!(std::process::id(), scope = Scope::worker(worker)).fetch().unwrap();
    let all: Vec<String> = workers().into_iter().map(|worker| of(worker).to_string()).collect();
    all.join(" ")
}

fn wait_until(count: usize) {
    let begin = Instant::now();
    while workers().len() != count {
        assert!(begin.elapsed() < LIMIT, "there are {} workers", workers().len());
        std::thread::yield_now();
    }
}

/// The squares of so many numbers, on all other workers.
fn work(count: i32) -> i64 {
    fn square(number: i64) -> i64 {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        number * number
    }
    let elsewhere = !Scope::worker(1);
    let tasks: Vec<_> =
        (0..i64::from(count)).map(|number| spawn!(square(number), scope = elsewhere.clone())).collect();
    let sum = fetch_all(&tasks).unwrap().iter().sum();
    assert_eq!(sum, (0..i64::from(count)).map(|number| number * number).sum::<i64>());
    sum
}

/// A task that runs so many seconds on some other worker, begun and not waited for.
fn begin(seconds: i32) {
    fn lasts(seconds: u64) -> WorkerId {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(seconds) {
            std::hint::spin_loop();
        }
        my_id()
    }
    let task = spawn!(lasts(seconds as u64), scope = !Scope::worker(1));
    std::thread::spawn(move || {
        say(match task.fetch() {
            Ok(worker) => format!("ran on {}", worker.0),
            Err(error) => format!("failed: {error}"),
        });
    });
}

/// A task on worker 2 that runs until this program ends, and one that waits for it: their numbers.
fn wait() -> String {
    fn lasts() {
        let begin = Instant::now();
        while begin.elapsed() < LIMIT && !cancelled() {
            std::thread::yield_now();
        }
    }
    let first = spawn!(lasts(), scope = Scope::worker(2), name = "first");
    fn after(_: &()) {}
    let second = spawn!(after(&first), name = "second");
    let (one, two) = (first.id().0, second.id().0);
    // They are wanted to the end.
    std::mem::forget((first, second));
    format!("{one} {two}")
}

/// What becomes of a task that panics on a worker.
fn panic_on(worker: u32) -> String {
    fn panics() -> u32 {
        panic!("on purpose")
    }
    match spawn!(panics(), scope = Scope::worker(worker)).fetch() {
        Ok(value) => format!("it gave {value}"),
        Err(error) => error.to_string().replace('\n', " "),
    }
}

/// Has worker 2 read a block that lies here, and says what was copied of it for that.
fn lent(cluster: &Cluster, mebibytes: usize) -> String {
    fn make(bytes: usize) -> Tile<u64> {
        Tile::from_fn(&[bytes / 8], Order::Col, |_| 1).unwrap()
    }
    fn count(block: &Tile<u64>) -> usize {
        8 * block.as_slice(Order::Col).unwrap().iter().sum::<u64>() as usize
    }
    let before = cluster.traffic();
    let block = spawn!(make(mebibytes << 20), scope = Scope::worker(1));
    let bytes = spawn!(count(&block), scope = Scope::worker(2)).fetch().unwrap();
    let after = cluster.traffic();
    let (copied, lent) = (after.copied_bytes - before.copied_bytes, after.lent_bytes - before.lent_bytes);
    let is_lent = lent == bytes as u64 && copied < bytes as u64 / 100;
    format!("{bytes} bytes, {} of them copied", if is_lent { "none" } else { "some" })
}

/// How often something ran is counted in a file that the test names.
fn runs() -> String {
    let file = std::env::var("PONIARD_TEST_COUNT").unwrap();
    fn counted(file: String, number: u32) -> u32 {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
        // At once: others write there too.
        file.write_all(format!("{number}\n").as_bytes()).unwrap();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(100) {
            std::hint::spin_loop();
        }
        number
    }
    let tasks: Vec<_> =
        (0..150).map(|number| spawn!(counted(file.clone(), number), scope = !Scope::worker(1))).collect();
    say("runs".to_owned());
    let sum: u32 = fetch_all(&tasks).unwrap().iter().sum();
    sum.to_string()
}
