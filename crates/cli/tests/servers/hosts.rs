//! Three hosts in network namespaces, with cables that can be pulled: `tests/three_hosts.sh`. Without root these tests say so,
//! and pass.

use super::stage::*;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const ADDRESS: &str = "10.77.0.1:7100";
/// The script's status where it can do nothing.
const SKIPPED: i32 = 77;

/// Three hosts, which go with the test.
struct Hosts {
    id: String,
}

fn script(words: &[&str]) -> Command {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../tests/three_hosts.sh"].iter().collect();
    let mut command = Command::new(path);
    command.args(words);
    command
}

impl Hosts {
    /// None where there is no root.
    fn new() -> Option<Hosts> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let hosts =
            Hosts { id: format!("pn{}x{}x", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)) };
        let (status, said, wrong) = run(script(&["up", &hosts.id]));
        if status.code() == Some(SKIPPED) {
            println!("{said}");
            return None;
        }
        assert!(status.success(), "{said}{wrong}");
        Some(hosts)
    }

    /// The same command, on one of them.
    fn on(&self, host: u32, command: Command) -> Command {
        let mut there = Command::new("ip");
        there.args(["netns", "exec", &format!("{}{host}", self.id)]).arg(command.get_program());
        there.args(command.get_args());
        there.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        // They are one machine, and must not read each other's memory.
        there.env("PONIARD_NODE", format!("host{host}"));
        there
    }

    /// A cluster with a worker on each.
    fn cluster(&self, file: &Path, environment: &[(&str, &str)]) -> (Process, Process, Process) {
        let mut command = self.on(1, first(file, ADDRESS, "2"));
        command.envs(environment.iter().copied());
        let mut app = Process::start(command);
        let others = [2, 3].map(|host| Process::start(self.on(host, worker(file))));
        assert_eq!(app.says(), "begins with 1 2 3");
        let [second, third] = others;
        (app, second, third)
    }

    /// Bytes that a host has received.
    fn received(&self, host: u32) -> u64 {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}{host}", self.id)]);
        command.args(["cat", "/sys/class/net/eth0/statistics/rx_bytes"]);
        let (status, said, wrong) = run(command);
        assert!(status.success(), "{wrong}");
        said.trim().parse().expect("it is a number")
    }

    /// Changes how a host reaches others.
    fn ip(&self, host: u32, words: &str) {
        let mut command = Command::new("ip");
        command.args(["-n", &format!("{}{host}", self.id)]).args(words.split(' '));
        let (status, _, wrong) = run(command);
        assert!(status.success(), "{words}: {wrong}");
    }

    /// What two hosts send to each other is lost from now on without a word; each still reaches the third.
    fn part(&self, a: u32, b: u32) {
        for (host, other) in [(a, b), (b, a)] {
            // Nobody has this address.
            let nobody = "lladdr 02:00:00:00:00:77 dev eth0 nud permanent";
            self.ip(host, &format!("neigh replace 10.77.0.{other} {nobody}"));
        }
    }

    /// They reach each other again.
    fn unite(&self, a: u32, b: u32) {
        for (host, other) in [(a, b), (b, a)] {
            self.ip(host, &format!("neigh del 10.77.0.{other} dev eth0"));
        }
    }

    /// Pulls the cable of a host for so long.
    fn cut(&self, host: u32, seconds: u32) {
        let (status, _, wrong) = run(script(&["cut", &self.id, &host.to_string(), &seconds.to_string()]));
        assert!(status.success(), "{wrong}");
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let _ = run(script(&["down", &self.id]));
    }
}

#[test]
fn flights_has_the_same_table_on_three_hosts() {
    // Beside the folder of this test: cargo has built it, if it builds all.
    let flights = program().parent().unwrap().with_file_name("examples").join("flights");
    if !flights.exists() {
        return println!("SKIP: {} is not built; cargo test --workspace builds it", flights.display());
    }
    let (status, said, wrong) = run(script(&["flights", env!("CARGO_BIN_EXE_poniard"), text(&flights)]));
    println!("{said}");
    if status.code() != Some(SKIPPED) {
        assert!(status.success() && said.contains("the same table on three hosts"), "{said}{wrong}");
    }
}

#[test]
fn f07_a_cut_of_5_seconds_loses_nothing_and_runs_nothing_again() {
    let Some(hosts) = Hosts::new() else { return };
    let folder = Folder::new();
    let count = folder.path("count");
    let file = folder.path("connection");
    let (mut app, mut second, mut third) = hosts.cluster(&file, &[("PONIARD_TEST_COUNT", text(&count))]);
    assert_eq!(app.ask("runs"), "runs");
    hosts.cut(2, 5);
    assert_eq!(app.says(), (0..150).sum::<u32>().to_string());
    let ran = std::fs::read_to_string(&count).unwrap();
    let mut numbers: Vec<u32> = ran.lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..150), "each ran once: {ran}");
    assert_eq!(app.ask("who"), "1 2 3");
    assert_eq!(app.ask("end"), "ended");
    assert!(second.end().success() && third.end().success());
}

#[test]
fn f08_a_longer_cut_is_a_death_and_the_worker_ends_when_it_is_over() {
    let Some(hosts) = Hosts::new() else { return };
    let folder = Folder::new();
    let (mut app, mut second, _third) =
        hosts.cluster(&folder.path("connection"), &[("PONIARD_WORKER_TIMEOUT", "4")]);
    app.tell("begin 3");
    app.tell("begin 3");
    app.tell("until 2");
    hosts.cut(2, 10);
    let mut said = [app.says(), app.says(), app.says()];
    said.sort();
    let left = said[0].strip_prefix("1 ").unwrap();
    assert_eq!(said[1..], [format!("ran on {left}"), format!("ran on {left}")]);
    assert_eq!(second.end().code(), Some(3));
    app.ask("work 20");
    assert_eq!(app.ask("end"), "ended");
}

#[test]
fn a_block_goes_from_host_to_host_and_not_through_that_of_worker_1() {
    let Some(hosts) = Hosts::new() else { return };
    let folder = Folder::new();
    let (mut app, _second, _third) = hosts.cluster(&folder.path("connection"), &[]);
    let before = hosts.received(1);
    assert_eq!(app.ask("block 64"), "right: 5 readers, 64 MiB by lines");
    let through = hosts.received(1) - before;
    assert!(through < 4 << 20, "{through} bytes went through worker 1");
}

/// Blocks go from worker 2 to worker 3, and something happens in the middle of it: each is right and read once, and nobody is lost.
/// Then one more goes there; gives what comes of it.
fn blocks_while(blocks: usize, happens: impl FnOnce(&Hosts)) -> Option<String> {
    let hosts = Hosts::new()?;
    let folder = Folder::new();
    let count = folder.path("count");
    let file = folder.path("connection");
    let (mut app, _second, _third) = hosts.cluster(&file, &[("PONIARD_TEST_COUNT", text(&count))]);
    app.tell(&format!("blocks {blocks}"));
    let lines = || std::fs::read_to_string(&count).unwrap_or_default().lines().count();
    until("some blocks have come", || lines() >= 3);
    happens(&hosts);
    assert_eq!(app.says(), format!("right: {blocks} blocks"));
    assert_eq!(lines(), blocks, "each was read once");
    assert_eq!(app.ask("who"), "1 2 3");
    Some(app.ask("block 8"))
}

const BY_LINES: &str = "right: 5 readers, 8 MiB by lines";

#[test]
fn f07_a_cut_in_the_middle_of_blocks_loses_nothing_and_runs_nothing_again() {
    let Some(last) = blocks_while(16, |hosts| hosts.cut(2, 3)) else { return };
    assert_eq!(last, BY_LINES);
}

#[test]
fn f09_two_workers_that_cannot_reach_each_other_for_a_while_lose_nothing() {
    let last = blocks_while(16, |hosts| {
        hosts.part(2, 3);
        // So long they are parted.
        std::thread::sleep(Duration::from_secs(3));
        hosts.unite(2, 3);
    });
    let Some(last) = last else { return };
    assert_eq!(last, BY_LINES);
}

#[test]
fn f09_two_workers_that_cannot_reach_each_other_any_more_go_on_through_worker_1() {
    // What goes through worker 1 is slow in a build for tests.
    let Some(last) = blocks_while(6, |hosts| hosts.part(2, 3)) else { return };
    assert_eq!(last, "right: 5 readers, 0 MiB by lines");
}

#[test]
fn without_a_way_between_two_hosts_blocks_go_through_worker_1_and_that_is_said_once() {
    let Some(hosts) = Hosts::new() else { return };
    let folder = Folder::new();
    let (mut app, second, third) = hosts.cluster(&folder.path("connection"), &[]);
    for (host, other) in [(2, 3), (3, 2)] {
        hosts.ip(host, &format!("route add prohibit 10.77.0.{other}/32"));
    }
    for _ in 0..2 {
        assert_eq!(app.ask("block 8"), "right: 5 readers, 0 MiB by lines");
    }
    let said: Vec<String> = second.complaints().into_iter().chain(third.complaints()).collect();
    let of_lines =
        said.iter().filter(|line| line.contains("through worker 1, which is slower: cannot connect to"));
    assert_eq!(of_lines.count(), 1, "{said:?}");
}
