//! What crosses between worker processes of one host: `cargo bench -p poniard-benches --bench workers`.
//!
//! `WORK=trip,blocks` picks parts. Beside Poniard's figures stand those of what lies below, in the same run: a raw Unix socket's
//! round trip, and Zenoh's own.
#![forbid(unsafe_code)]

use poniard::prelude::*;
use poniard::{Order, Tile};
use poniard_benches::{from_env, heading, measure, print, repetitions};
use std::cell::Cell;
use std::hint::spin_loop;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};
use zenoh::Wait;

/// Says to this program that it is the other end of a round trip, and of which.
const OTHER_END: &str = "WORKERS_BENCH_OTHER_END";

fn main() {
    if let Ok(end) = std::env::var(OTHER_END) {
        let (kind, path) = end.split_once(':').expect("a kind and a path");
        return if kind == "raw" { raw_end(path) } else { zenoh_end(path) };
    }
    heading();
    let parts: [(&str, fn()); 8] = [
        ("start", start),
        ("trip", round_trips),
        ("pipelined", pipelined),
        ("blocks", blocks),
        ("fib", fib_on_two),
        ("shared", shared_out),
        ("killed", killed),
        ("idle", idle),
    ];
    let wanted = std::env::var("WORK").unwrap_or_default();
    for (name, work) in parts {
        if wanted.is_empty() || wanted.split(',').any(|wanted| wanted == name) {
            work();
        }
    }
}

fn cluster(workers: usize) -> Cluster {
    Cluster::local().workers(workers).threads(1).start().expect("workers start")
}

fn start() {
    let mut times: Vec<f64> = (0..repetitions())
        .map(|_| {
            let began = Instant::now();
            let cluster = cluster(1);
            let two = spawn!((|x| x + 1)(1), scope = Scope::worker(2)).fetch().expect("it does not fail");
            assert_eq!(two, 2);
            let took = began.elapsed();
            drop(cluster);
            took.as_secs_f64() * 1e3
        })
        .collect();
    print("start of a local worker to its first result", &mut times, "ms");
}

/// A folder that goes when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let folder = std::env::temp_dir().join(format!("poniard-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// This program as the other end, ended when this is dropped.
struct OtherEnd(Child);

impl OtherEnd {
    fn start(kind: &str, path: &Path) -> OtherEnd {
        let this = std::env::current_exe().expect("this program has a path");
        let child = Command::new(this).env(OTHER_END, format!("{kind}:{}", path.display())).spawn();
        OtherEnd(child.expect("this program starts again"))
    }
}

impl Drop for OtherEnd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn round_trips() {
    let (folder, count) = (Folder::new(), from_env("TRIPS", 2000));
    raw_trips(&folder.0.join("raw"), count);
    zenoh_trips(&folder.0.join("zenoh"), count);
    let _cluster = cluster(1);
    let trip = |number: u64| {
        let same = spawn!((|x: u64| x)(number), scope = Scope::worker(2));
        assert_eq!(same.fetch().expect("it does not fail"), number);
    };
    measure("round trip of an empty task on another process", count, repetitions(), || {
        (0..count as u64).for_each(trip);
    });
    let number = Cell::new(0);
    rested(|| trip(number.replace(number.get() + 1)));
}

/// Measures single round trips, each after a rest of all threads.
fn rested(trip: impl Fn()) {
    let mut times: Vec<f64> = (0..10 * repetitions())
        .map(|_| {
            sleep(Duration::from_millis(100));
            let began = Instant::now();
            trip();
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    print("the same, after 100 ms in which nothing ran", &mut times, "us");
}

fn raw_trips(path: &Path, count: usize) {
    let listener = UnixListener::bind(path).expect("a socket in our folder");
    let _other = OtherEnd::start("raw", path);
    let (stream, _) = listener.accept().expect("the other end connects");
    let trip = || {
        let mut bytes = [1; 64];
        (&stream).write_all(&bytes).expect("the other end is there");
        (&stream).read_exact(&mut bytes).expect("the other end is there");
    };
    measure("round trip of 64 bytes, raw Unix socket", count, repetitions(), || {
        (0..count).for_each(|_| trip());
    });
    rested(trip);
}

fn raw_end(path: &str) {
    let mut stream = UnixStream::connect(path).expect("the socket is there");
    let mut bytes = [0; 64];
    while stream.read_exact(&mut bytes).is_ok() && stream.write_all(&bytes).is_ok() {}
}

fn zenoh_config(role: &str, path: &str) -> zenoh::Config {
    let mut config = zenoh::Config::default();
    for (key, value) in [
        ("mode", "\"peer\"".to_owned()),
        (role, format!("[\"unixsock-stream/{path}\"]")),
        ("scouting/multicast/enabled", "false".to_owned()),
    ] {
        config.insert_json5(key, &value).expect("Zenoh knows the key");
    }
    config
}

fn zenoh_trips(path: &Path, count: usize) {
    let path = path.to_str().expect("our folder's name is text");
    let session = zenoh::open(zenoh_config("listen/endpoints", path)).wait().expect("Zenoh starts");
    let _other = OtherEnd::start("zenoh", Path::new(path));
    let pongs = session.declare_subscriber("pong").wait().expect("Zenoh subscribes");
    let ping = session.declare_publisher("ping").wait().expect("Zenoh publishes");
    // Until the other end has subscribed.
    loop {
        ping.put([1_u8; 64].as_slice()).wait().expect("Zenoh puts");
        if pongs.recv_timeout(Duration::from_millis(20)).is_ok_and(|pong| pong.is_some()) {
            break;
        }
    }
    while pongs.recv_timeout(Duration::from_millis(100)).is_ok_and(|pong| pong.is_some()) {}
    let trip = || {
        ping.put([1_u8; 64].as_slice()).wait().expect("Zenoh puts");
        pongs.recv().expect("the other end answers");
    };
    measure("round trip of 64 bytes, Zenoh's own, Unix socket", count, repetitions(), || {
        (0..count).for_each(|_| trip());
    });
    rested(trip);
}

fn zenoh_end(path: &str) {
    let session = zenoh::open(zenoh_config("connect/endpoints", path)).wait().expect("Zenoh starts");
    let pong = session.declare_publisher("pong").wait().expect("Zenoh publishes");
    let pings = session.declare_subscriber("ping").wait().expect("Zenoh subscribes");
    while let Ok(ping) = pings.recv() {
        pong.put(ping.payload().to_bytes().to_vec()).wait().expect("Zenoh puts");
    }
}

fn pipelined() {
    let count = from_env("TASKS", 200_000);
    let _cluster = cluster(1);
    let nanoseconds =
        measure("empty task pinned to another process, pipelined", count, repetitions(), || {
            let tasks: Vec<_> = (0..count as u64)
                .map(|number| spawn!((|x: u64| x)(number), scope = Scope::worker(2)))
                .collect();
            let last = fetch_all(&tasks).expect("they do not fail").pop();
            assert_eq!(last, Some(count as u64 - 1));
        });
    println!("{:<58} {:>10.0} a second", "", 1e9 / nanoseconds);
}

fn block_of_zeros(bytes: usize) -> Tile<f64> {
    Tile::zeros(&[bytes / 8], Order::Col).expect("there is memory")
}

fn length(block: &Tile<f64>) -> usize {
    block.len()
}

fn sum(block: &Tile<f64>) -> f64 {
    block.as_slice(Order::Col).expect("it is dense").iter().sum()
}

fn blocks() {
    let cluster = cluster(2);
    let mut passed = Vec::new();
    let mut read = Vec::new();
    let megabytes = from_env("BLOCK_MIB", 256);
    let bytes_of_block = megabytes << 20;
    for _ in 0..repetitions() {
        let block = spawn!(block_of_zeros(bytes_of_block), scope = Scope::worker(2));
        block.wait();
        let began = Instant::now();
        let bytes = spawn!(length(&block), scope = Scope::worker(3)).fetch().expect("it does not fail");
        passed.push(began.elapsed().as_secs_f64() * 1e6);
        assert_eq!(bytes, bytes_of_block / 8);
        let began = Instant::now();
        let zero = spawn!(sum(&block), scope = Scope::worker(3)).fetch().expect("it does not fail");
        read.push(bytes_of_block as f64 / began.elapsed().as_secs_f64() / 1e9);
        assert_eq!(zero, 0.0);
    }
    print(&format!("{megabytes} MiB block, worker 2 to a task on worker 3"), &mut passed, "us");
    print("the same, summed there", &mut read, "GB/s");
    println!("{:<58} {:?}", "", cluster.traffic());
}

fn fib(n: u32) -> u64 {
    if n < 2 {
        return u64::from(n);
    }
    let left = spawn!(fib(n - 1));
    let right = fib(n - 2);
    left.fetch().expect("it does not fail") + right
}

fn fib_on_two() {
    let depth = from_env("FIB", 27) as u32;
    let mut times = Vec::new();
    for workers in [0, 1] {
        let _cluster = cluster(workers);
        let run = || assert_eq!(fib(depth), if depth == 27 { 196_418 } else { fib(depth) });
        let name = format!("fib({depth}), {} x 1 thread", workers + 1);
        times.push(measure(&name, 1_000_000, repetitions(), run));
    }
    println!("{:<58} {:>10.2} times as fast", "", times[0] / times[1]);
}

/// Works for so long.
fn work(milliseconds: u64) -> u32 {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(milliseconds) {
        spin_loop();
    }
    my_id().0
}

fn shared_out() {
    let _cluster = cluster(1);
    let mut shares = Vec::new();
    for _ in 0..repetitions() {
        let began = Instant::now();
        let tasks: Vec<_> = (0..1000).map(|_| spawn!(work(10))).collect();
        fetch_all(&tasks).expect("they do not fail");
        shares.push(1000.0 * 0.010 / 2.0 / began.elapsed().as_secs_f64() * 100.0);
    }
    print("1,000 tasks of 10 ms on 2 workers x 1 thread: both cores", &mut shares, "%");
}

/// Waits for so long, as if it worked: there are more workers than cores here.
fn waits(milliseconds: u64) -> u64 {
    sleep(Duration::from_millis(milliseconds));
    milliseconds
}

fn killed() {
    for kills in [false, true] {
        let mut times = Vec::new();
        for _ in 0..repetitions().min(5) {
            let _cluster = cluster(3);
            let victim =
                spawn!(std::process::id(), scope = Scope::worker(3)).fetch().expect("it does not fail");
            let began = Instant::now();
            let tasks: Vec<_> = (0..2000).map(|_| spawn!(waits(10))).collect();
            if kills {
                sleep(Duration::from_secs(2));
                let killed = Command::new("kill").args(["-9", &victim.to_string()]).status();
                assert!(killed.expect("kill is there").success());
            }
            let sum: u64 = fetch_all(&tasks).expect("they do not fail").into_iter().sum();
            assert_eq!(sum, 20_000);
            times.push(began.elapsed().as_secs_f64());
        }
        let name =
            if kills { "the same, kill -9 of one after 2 s" } else { "2,000 tasks of 10 ms on 4 workers" };
        print(name, &mut times, "s");
    }
}

/// Ticks of the processor that processes have used, 100 a second.
fn ticks(processes: &[u32]) -> u64 {
    let of = |process: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(") ").next().expect("a name in brackets").split(' ').collect();
        let number = |place: usize| fields[place].parse::<u64>().expect("a number");
        number(11) + number(12)
    };
    processes.iter().map(of).sum()
}

fn idle() {
    let _cluster = cluster(3);
    let process =
        |worker| spawn!(std::process::id(), scope = Scope::worker(worker)).fetch().expect("it does not fail");
    let processes: Vec<u32> = (1..=4).map(process).collect();
    sleep(Duration::from_secs(2));
    let before = ticks(&processes);
    sleep(Duration::from_secs(20));
    let mut share = [(ticks(&processes) - before) as f64 / 20.0];
    print("idle cluster of 4 workers", &mut share, "% of a core");
}
