//! Random graphs with random kills, for as long as wanted: `cargo run --release -p poniard-benches --bin soak -- --minutes 10`.
//!
//! Rounds follow each other, a cluster each. In a round random graphs run while workers are killed, stopped, removed and
//! replaced; every value is held against a serial oracle, every start of a task against what must start. When a cluster has
//! ended, nothing of it is left: no process, descriptor, thread, memory segment or file.
//!
//! - `arguments`, `random`: what is wanted, and chance
//! - `graph`, `work`, `play`: graphs with their oracle, what their tasks do, and how the two are compared
//! - `chaos`: what happens to the workers; `watchdog`: the end of a program that hangs
//! - `census`, `report`: what processes have, and the table at the end
#![forbid(unsafe_code)]

mod arguments;
mod census;
mod chaos;
mod graph;
mod play;
#[path = "../../crates/poniard/tests/graphs/chance.rs"]
mod random;
mod report;
mod watchdog;
mod work;

use arguments::Arguments;
use census::{Census, children, left_files, of_workers};
use chaos::{Chaos, Deeds, Mood};
use graph::Nature;
use play::{Played, play};
use poniard::prelude::*;
use random::Random;
use report::{Report, Sample, words};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

/// How long threads and processes may take to be gone.
const SETTLING: Duration = Duration::from_secs(20);

/// The patience of a cluster with a silent worker: one that no stop here uses up, and one that a long stop does.
const PATIENT: Duration = Duration::from_secs(15);
const IMPATIENT: Duration = Duration::from_secs(3);

/// Descriptors and threads that may come and go between clusters.
const SLACK: u64 = 0;

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    println!("soak: {arguments:?}, process {}", std::process::id());
    watchdog::start(arguments.limit);
    let (began, deeds) = (Instant::now(), Deeds::default());
    let mut soak = Soak { arguments, began, deeds: &deeds, graphs: 0, report: Report::default() };
    let outcome = soak.run();
    let _ = std::fs::remove_file(work::ledger(std::process::id()));
    soak.report.print(began.elapsed(), &deeds);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("WRONG: {why}");
            ExitCode::FAILURE
        }
    }
}

struct Soak<'a> {
    arguments: Arguments,
    began: Instant,
    deeds: &'a Deeds,
    graphs: u32,
    report: Report,
}

impl Soak<'_> {
    fn run(&mut self) -> Result<(), String> {
        work::clear_ledger(std::process::id()).map_err(|error| format!("the list of starts: {error}"))?;
        // What stays for good after a first cluster is there from then on.
        self.round(0, Mood::Quiet, Duration::from_secs(3))?;
        let mut number = 0;
        while self.began.elapsed() < self.arguments.time {
            number += 1;
            let moods = [Mood::Deadly, Mood::Deadly, Mood::Gentle, Mood::Frozen];
            let left = self.arguments.time.saturating_sub(self.began.elapsed());
            let mood = self.arguments.mood.unwrap_or(moods[number as usize % moods.len()]);
            self.round(number, mood, left.min(self.arguments.round))?;
        }
        Ok(())
    }

    /// A cluster from its start to its end.
    fn round(&mut self, number: u32, mood: Mood, time: Duration) -> Result<(), String> {
        let seed = self.arguments.seed.wrapping_mul(0x1_0000).wrapping_add(u64::from(number));
        let mut random = Random::of(seed);
        let mib = [6, 24, 512][random.below(3)];
        watchdog::begins(format!("the start of cluster {number}"), Vec::new());
        let cluster = Cluster::local().workers(self.arguments.workers).threads(self.arguments.threads);
        let cluster = cluster.memory(mib << 20).respawn(100_000);
        let cluster = cluster.worker_timeout(if mood == Mood::Frozen { IMPATIENT } else { PATIENT });
        let cluster = cluster.start().map_err(|error| format!("cluster {number}: {error}"))?;
        let cluster = Arc::new(cluster);
        watchdog::watch(&cluster);
        let (is_over, deaths_left) = (AtomicBool::new(false), AtomicI32::new(0));
        let chaos_random = Random::of(random.number());
        let (deeds, cluster_here, is_over_here, deaths) = (self.deeds, &cluster, &is_over, &deaths_left);
        let played = std::thread::scope(|scope| {
            let chaos = scope.spawn(move || {
                let (cluster, is_over, deaths_left) = (cluster_here, is_over_here, deaths);
                Chaos {
                    mood,
                    cluster,
                    deeds,
                    random: chaos_random,
                    deaths_left,
                    is_over,
                    processes: BTreeMap::new(),
                }
                .run()
            });
            let played = self.graphs(&cluster, seed, &mut random, time, &deaths_left);
            is_over.store(true, Ordering::Relaxed);
            let chaos = chaos.join().map_err(|_| "the chaos has panicked".to_owned())?;
            chaos.map_err(|why| format!("in round {number}: {why}"))?;
            played
        })?;
        self.look(number, mood, mib, played, &cluster)?;
        watchdog::begins(format!("the end of cluster {number}"), Vec::new());
        drop(cluster);
        self.assert_nothing_left(number)
    }

    fn graphs(
        &mut self,
        cluster: &Cluster,
        seed: u64,
        random: &mut Random,
        time: Duration,
        deaths_left: &AtomicI32,
    ) -> Result<Played, String> {
        let (begin, mut played) = (Instant::now(), Played::default());
        let mut number = 0;
        while begin.elapsed() < time {
            number += 1;
            let nature = Nature { fails: random.one_in(3), cancels: random.one_in(6) };
            let began = Instant::now();
            let seed = seed.wrapping_mul(0x1_0000).wrapping_add(number);
            self.graphs += 1;
            played = played.and(play(cluster, seed, self.graphs, nature, deaths_left)?);
            self.report.longest_graph = self.report.longest_graph.max(began.elapsed());
        }
        Ok(played)
    }

    /// What there is when nothing runs and all workers are there.
    fn look(
        &mut self,
        number: u32,
        mood: Mood,
        mib: u64,
        played: Played,
        cluster: &Cluster,
    ) -> Result<(), String> {
        watchdog::begins(format!("all workers of cluster {number} to be there"), Vec::new());
        let many = self.arguments.workers + 1;
        settled(|| (cluster.workers().len(), children().len()), |counts| *counts == (many, many - 1))
            .map_err(|(workers, children)| {
                format!("{workers} workers in {children} processes, not {many}")
            })?;
        let usage =
            settled(|| cluster.memory_usage(), |usage| usage.resident_bytes == 0 && usage.stored_bytes == 0)
                .map_err(|usage| format!("values are kept that nobody has a handle of: {usage:?}"))?;
        let (here, workers) = (Census::here(), of_workers(&cluster.workers()[1..]));
        let traffic = cluster.traffic();
        let report = &mut self.report;
        report.played = report.played.and(played);
        report.here = report.here.most(here);
        report.worker = report.worker.most(workers);
        // Counted since the process began.
        (report.written_bytes, report.remade) = (usage.written_bytes, usage.remade);
        (report.lent_bytes, report.copied_bytes) = (traffic.lent_bytes, traffic.copied_bytes);
        println!(
            "{:>4} s round {number:>3} {mood:?}, {mib} MiB: {} graphs, {} tasks, {} elsewhere, {} again; w1 {}; workers {}",
            self.began.elapsed().as_secs(),
            played.graphs,
            played.tasks,
            played.elsewhere,
            played.again,
            words(&here),
            words(&workers)
        );
        Ok(())
    }

    fn assert_nothing_left(&mut self, number: u32) -> Result<(), String> {
        watchdog::begins(format!("all of cluster {number} to be gone"), Vec::new());
        let first = self.report.samples.first().map(|sample| sample.here);
        let is_as_at_first = |here: &Census| {
            first.is_none_or(|first| {
                here.descriptors <= first.descriptors + SLACK && here.threads <= first.threads + SLACK
            })
        };
        let none = |processes: &_| *processes == BTreeMap::new();
        settled(children, none).map_err(|left| format!("processes are left: {left:?}"))?;
        settled(left_files, Vec::is_empty).map_err(|left| format!("files are left: {left:?}"))?;
        let here = settled(Census::here, is_as_at_first).map_err(|here| {
            format!("descriptors or threads are left: {here:?}, after the first cluster {first:?}")
        })?;
        self.report.samples.push(Sample { at: self.began.elapsed(), here });
        Ok(())
    }
}

/// Looks until something is so, for a while; the last look is the error.
fn settled<T>(look: impl Fn() -> T, is_so: impl Fn(&T) -> bool) -> Result<T, T> {
    let begin = Instant::now();
    loop {
        let seen = look();
        if is_so(&seen) {
            return Ok(seen);
        }
        if begin.elapsed() > SETTLING {
            return Err(seen);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
