//! A block from host to host: `cargo bench -p poniard-benches --bench servers`, as root. The hosts are network namespaces of this
//! machine (`tests/three_hosts.sh`), with a cable of the kernel's between them.
//!
//! Beside Poniard's figures stand those of plain TCP between the same two namespaces in the same run: read into memory that is there,
//! and into fresh memory. `REPS` says how often each is measured, 7 times unless set.
#![forbid(unsafe_code)]

use poniard::prelude::*;
use poniard::{Order, Tile, traffic};
use poniard_benches::{from_env, heading, print};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Says to this program which part it has.
const PART: &str = "SERVERS_BENCH_PART";
/// Bytes of a block.
const BYTES: usize = 256 << 20;
const RAW: &str = "10.77.0.2:7300";
const ENGINE: &str = "10.77.0.1:7100";

fn main() {
    match std::env::var(PART).as_deref() {
        Ok("gives") => return raw_gives(),
        Ok("takes") => return raw_takes(),
        Ok("first") => return first(),
        Ok(other) => panic!("there is no part {other}"),
        Err(_) => {}
    }
    let Some(hosts) = Hosts::new() else { return };
    heading();
    let raw = hosts.raw();
    for (name, scheme) in [("--insecure", "tcp"), ("TLS", "tls")] {
        let mut figures = hosts.cluster(scheme);
        let by_first = figures.split_off(figures.len() / 2);
        for (spawner, mut figures) in [("worker 2", figures), ("worker 1", by_first)] {
            let name = format!("256 MiB, worker 2 to 3, spawned by {spawner}, {name}");
            let figure = print(&name, &mut figures, "GB/s");
            println!("{:<58} {:>10.2} of TCP into warm memory", "", figure / raw[0]);
            println!("{:<58} {:>10.2} of TCP into fresh memory", "", figure / raw[1]);
        }
    }
}

fn repetitions() -> usize {
    from_env("REPS", 7)
}

/// Three hosts, which go when this is dropped.
struct Hosts(String);

fn script(words: &[&str]) -> Command {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../tests/three_hosts.sh"].iter().collect();
    let mut command = Command::new(path);
    command.args(words);
    command
}

impl Hosts {
    /// None where there is no root.
    fn new() -> Option<Hosts> {
        let hosts = Hosts(format!("pb{}x", std::process::id()));
        let made = script(&["up", &hosts.0]).output().expect("the script is there");
        if !made.status.success() {
            println!("{}{}", String::from_utf8_lossy(&made.stdout), String::from_utf8_lossy(&made.stderr));
            return None;
        }
        Some(hosts)
    }

    /// This program, on one of them.
    fn on(&self, host: u32, environment: &[(&str, &str)]) -> Part {
        let this = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}{host}", self.0)]).arg(this);
        // They are one machine, and must not read each other's memory.
        command.env("PONIARD_NODE", format!("host{host}")).env("PONIARD_THREADS", "1");
        command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped());
        Part(command.spawn().expect("there is a command ip"))
    }

    /// Gigabytes a second of plain TCP, into warm and into fresh memory.
    fn raw(&self) -> [f64; 2] {
        let _gives = self.on(2, &[(PART, "gives")]);
        let figures = self.on(3, &[(PART, "takes")]).figures();
        let (warm, fresh) = figures.split_at(figures.len() / 2);
        [("into warm memory", warm), ("into fresh memory", fresh)]
            .map(|(name, figures)| print(&format!("256 MiB by TCP, {name}"), &mut figures.to_vec(), "GB/s"))
    }

    /// Those of a block between two workers, spawned by one of them and by worker 1.
    fn cluster(&self, scheme: &str) -> Vec<f64> {
        let file = std::env::temp_dir().join(format!("{}connection", self.0));
        let (file, listen) = (file.to_str().expect("its name is text"), format!("{scheme}://{ENGINE}"));
        let first = self.on(
            1,
            &[
                (PART, "first"),
                ("PONIARD_LISTEN", &listen),
                ("PONIARD_INSECURE", "1"),
                ("PONIARD_CONNECTION", file),
                ("PONIARD_JOINERS", "2"),
            ],
        );
        let joins = [("PONIARD_WORKER", "join"), ("PONIARD_CONNECTION", file)];
        let _others = [self.on(2, &joins), self.on(3, &joins)];
        first.figures()
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let _ = script(&["down", &self.0]).output();
    }
}

/// A process of this program, which ends when this is dropped.
struct Part(Child);

impl Part {
    /// What it prints.
    fn figures(mut self) -> Vec<f64> {
        let mut text = String::new();
        let output = self.0.stdout.as_mut().expect("it was asked for");
        output.read_to_string(&mut text).expect("it prints text");
        assert!(!text.is_empty(), "it measured nothing");
        text.lines().map(|line| line.parse().expect("it prints figures")).collect()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn say(seconds: f64) {
    println!("{}", BYTES as f64 / seconds / 1e9);
}

/// Sends the block as often as it is asked for.
fn raw_gives() {
    let block = vec![1_u8; BYTES];
    let (mut stream, _) =
        TcpListener::bind(RAW).and_then(|listener| listener.accept()).expect("there is a port");
    stream.set_nodelay(true).expect("it is a connection");
    while stream.read_exact(&mut [0]).is_ok() {
        stream.write_all(&block).expect("the other side reads");
    }
}

fn raw_takes() {
    let began = Instant::now();
    let mut stream = loop {
        match TcpStream::connect(RAW) {
            Ok(stream) => break stream,
            Err(error) => assert!(began.elapsed().as_secs() < 20, "{error}"),
        }
        std::thread::yield_now();
    };
    stream.set_nodelay(true).expect("it is a connection");
    let mut take = |block: &mut [u8]| {
        stream.write_all(&[1]).and_then(|()| stream.read_exact(block)).expect("the other side sends");
    };
    let mut warm = vec![0; BYTES];
    take(&mut warm);
    for _ in 0..repetitions() {
        let began = Instant::now();
        take(&mut warm);
        say(began.elapsed().as_secs_f64());
    }
    for _ in 0..repetitions() {
        let began = Instant::now();
        let mut fresh = vec![0; BYTES];
        take(&mut fresh);
        say(began.elapsed().as_secs_f64());
    }
}

fn block_of(number: f64) -> Tile<f64> {
    let mut numbers = vec![0.0; BYTES / 8];
    numbers.fill(number);
    Tile::from_vec(numbers, &[BYTES / 8], Order::Col).expect("it is as long as that")
}

fn ends(block: &Tile<f64>) -> f64 {
    let numbers = block.as_slice(Order::Col).expect("it is dense");
    numbers[0] + numbers[numbers.len() - 1]
}

/// Bytes that worker 2 has sent by lines.
fn streamed() -> u64 {
    spawn!((|| traffic().streamed_bytes)(), scope = Scope::worker(2)).fetch().expect("it does not fail")
}

/// Seconds for each block to get from worker 2 to a task on worker 3 and its word back.
fn times(repetitions: usize) -> Vec<f64> {
    let one = |number: usize| {
        let block = spawn!(block_of(number as f64), scope = Scope::worker(2));
        block.wait();
        let began = Instant::now();
        let sum = spawn!(ends(&block), scope = Scope::worker(3)).fetch().expect("it does not fail");
        assert_eq!(sum, 2.0 * number as f64);
        began.elapsed().as_secs_f64()
    };
    let before = streamed();
    let mut times: Vec<f64> = (0..=repetitions).map(one).collect();
    let streamed = (streamed() - before) as usize;
    assert_eq!(streamed, times.len() * BYTES, "they went by lines, once each");
    // The first makes the connection.
    times.remove(0);
    times
}

fn first() {
    let _cluster = Cluster::from_env().start().expect("the others come");
    let times = spawn!(times(repetitions()), scope = Scope::worker(2)).fetch().expect("it does not fail");
    times.into_iter().chain(self::times(repetitions())).for_each(say);
}
