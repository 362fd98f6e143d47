//! More data than memory: `y = 2 x + 1` and its sum over blocks of random numbers, within a budget.
//!
//! ```text
//! cargo run --release --example out_of_core -- --memory 1GiB [--blocks 64] [--order both] [--keep] [--spill-dir DIR] [--threads N]
//! ```
//!
//! Twice the same work. *Depth first*: each block is made, used and dropped before the next one, so nothing needs the disk. *In
//! phases*: all of x, then all of y, then the sum, which cannot be had without it. Each run tells its time, the most memory that
//! it had, what went to disk and came back, and checks the sum against the formula.

use poniard::prelude::*;
use poniard::{MemoryUsage, Order, Tile, TileError, memory_usage};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Numbers of a block: 64 MiB.
const NUMBERS: usize = 8 << 20;

/// A block of random numbers from 0 to 1, the same ones for the same seed (SplitMix64; Steele, Lea, Flood, "Fast splittable
/// pseudorandom number generators", 2014).
fn random(seed: u64) -> Result<Tile<f64>, TileError> {
    let mut state = seed.wrapping_mul(0xd134_2543_de82_ef95);
    Tile::written(&[NUMBERS], Order::Col, |numbers| {
        for number in numbers {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = state;
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bits ^= bits >> 31;
            *number = (bits >> 11) as f64 / (1_u64 << 53) as f64;
        }
    })
}

fn double_plus_one(x: &Tile<f64>) -> Result<Tile<f64>, TileError> {
    let x = x.as_slice(Order::Col).expect("blocks are dense");
    Tile::written(&[NUMBERS], Order::Col, |y| {
        for (y, x) in y.iter_mut().zip(x) {
            *y = 2.0 * x + 1.0;
        }
    })
}

fn sum(y: &Tile<f64>) -> f64 {
    let y = y.as_slice(Order::Col).expect("blocks are dense");
    // In eight lanes, so that the processor adds them side by side.
    let mut lanes = [0.0; 8];
    for eight in y.chunks_exact(8) {
        for (lane, number) in lanes.iter_mut().zip(eight) {
            *lane += number;
        }
    }
    lanes.iter().sum()
}

/// The order of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// A block is used up before the next one is made.
    DepthFirst,
    /// All of x, then all of y, then the sum.
    Phases,
}

impl Plan {
    fn name(self) -> &'static str {
        match self {
            Plan::DepthFirst => "depth first",
            Plan::Phases => "in phases",
        }
    }
}

/// The tasks of all blocks, of which the sums are what is wanted.
fn spawn_all(order: Plan, blocks: u64, keep: bool) -> Graph {
    let mut graph = Graph::default();
    match order {
        Plan::DepthFirst => {
            for seed in 0..blocks {
                let x = spawn!(random(seed)?);
                let y = spawn!(double_plus_one(&x)?);
                graph.sums.push(spawn!(sum(&y)));
                graph.kept.extend(keep.then_some([x, y]));
            }
        }
        Plan::Phases => {
            let xs: Vec<_> = (0..blocks).map(|seed| spawn!(random(seed)?)).collect();
            let made = spawn!(|| (), after = &xs);
            let ys: Vec<_> = xs.iter().map(|x| spawn!(double_plus_one(x)?, after = &made)).collect();
            let made = spawn!(|| (), after = &ys);
            graph.sums = ys.iter().map(|y| spawn!(sum(y), after = &made)).collect();
            graph.kept.extend(xs.into_iter().zip(ys).filter(|_| keep).map(|(x, y)| [x, y]));
        }
    }
    graph
}

#[derive(Default)]
struct Graph {
    sums: Vec<DTask<f64>>,
    /// What the program holds on to: it must be written when it leaves memory.
    kept: Vec<[DTask<Tile<f64>>; 2]>,
}

/// Runs the work in one order, and tells how it went.
fn measure(order: Plan, arguments: &Arguments) -> Result<(), String> {
    let before = memory_usage();
    let watch = Watch::start();
    let begin = Instant::now();
    let graph = spawn_all(order, arguments.blocks, arguments.keep);
    let mut total = 0.0;
    for (done, sum) in as_completed(graph.sums).enumerate() {
        total += sum.fetch().map_err(|error| error.to_string())?;
        watch.say(order, done as u64 + 1, arguments.blocks, begin.elapsed());
    }
    let took = begin.elapsed();
    let peak = watch.peak();
    drop(graph.kept);
    let usage = memory_usage();
    let numbers = (arguments.blocks * NUMBERS as u64) as f64;
    // Of uniform numbers: y is 2 on average, and its variance is 1/3. Ten standard deviations are no accident.
    let off = (total - 2.0 * numbers).abs() / (numbers / 3.0).sqrt();
    let check = if off < 10.0 { "right" } else { "WRONG" };
    println!(
        "{:<12} {:>6.2} s   peak {:>8}   written {:>8}   read {:>8}   sum {total:.6e} ({check})",
        order.name(),
        took.as_secs_f64(),
        amount(peak),
        amount(usage.written_bytes - before.written_bytes),
        amount(usage.read_bytes - before.read_bytes),
    );
    if off < 10.0 {
        Ok(())
    } else {
        Err(format!("the sum is {total}, and should be about {}", 2.0 * numbers))
    }
}

fn amount(bytes: u64) -> String {
    if bytes < 1 << 30 {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
    }
}

/// Looks at the memory of this process all the time, and shows progress on the terminal.
struct Watch {
    peak: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watch {
    fn start() -> Watch {
        let (peak, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, ends) = (peak.clone(), over.clone());
        let look = move || {
            while !ends.load(Ordering::Relaxed) {
                seen.fetch_max(resident(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        Watch { peak, over, thread: Some(std::thread::spawn(look)) }
    }

    fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    fn say(&self, order: Plan, done: u64, all: u64, took: Duration) {
        if std::io::stderr().is_terminal() {
            let MemoryUsage { resident_bytes, stored_bytes, .. } = memory_usage();
            eprint!(
                "\r{}  {done}/{all} blocks  {:.1} s  in memory {}  on disk {} \x1b[K",
                order.name(),
                took.as_secs_f64(),
                amount(resident_bytes),
                amount(stored_bytes)
            );
            if done == all {
                eprint!("\r\x1b[K");
            }
            let _ = std::io::stderr().flush();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Anonymous and shared memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    (kilobytes("RssAnon:").unwrap_or(0) + kilobytes("RssShmem:").unwrap_or(0)) << 10
}

/// The command line.
struct Arguments {
    memory: String,
    blocks: u64,
    orders: Vec<Plan>,
    keep: bool,
    spill_dir: Option<PathBuf>,
    threads: Option<usize>,
}

const HELP: &str = "\
y = 2 x + 1 and its sum, over blocks of 64 MiB, within a memory budget.

  --memory BYTES    the budget                      (1GiB)
  --blocks N        how many blocks                 (64)
  --order ORDER     depth, phases or both           (both)
  --keep            hold on to x and y to the end
  --spill-dir PATH  where blocks go that do not fit (TMPDIR or /var/tmp)
  --threads N       tasks that run at a time        (one a core)";

impl Arguments {
    fn of(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let orders = vec![Plan::DepthFirst, Plan::Phases];
        let memory = "1GiB".to_owned();
        let mut arguments =
            Arguments { memory, blocks: 64, orders, keep: false, spill_dir: None, threads: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value; try --help"));
            match word.as_str() {
                "--memory" => arguments.memory = value()?,
                "--blocks" => arguments.blocks = number(&word, &value()?)?,
                "--order" => arguments.orders = orders_of(&value()?)?,
                "--keep" => arguments.keep = true,
                "--spill-dir" => arguments.spill_dir = Some(value()?.into()),
                "--threads" => arguments.threads = Some(number(&word, &value()?)? as usize),
                "--help" | "-h" => {
                    println!("{HELP}");
                    std::process::exit(0);
                }
                _ => return Err(format!("unknown argument `{word}`; try --help")),
            }
        }
        Ok(arguments)
    }
}

fn orders_of(text: &str) -> Result<Vec<Plan>, String> {
    match text {
        "depth" => Ok(vec![Plan::DepthFirst]),
        "phases" => Ok(vec![Plan::Phases]),
        "both" => Ok(vec![Plan::DepthFirst, Plan::Phases]),
        _ => Err(format!("`--order {text}`: it is depth, phases or both")),
    }
}

fn number(option: &str, text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("`{option} {text}`: it is a number from 1"))
}

fn run(arguments: Arguments) -> Result<(), String> {
    let mut cluster = Cluster::local().memory(arguments.memory.as_str());
    if let Some(folder) = &arguments.spill_dir {
        cluster = cluster.spill_dir(folder);
    }
    if let Some(threads) = arguments.threads {
        cluster = cluster.threads(threads);
    }
    let _cluster = cluster.start().map_err(|error| error.to_string())?;
    println!("{} blocks of 64 MiB, memory {}", arguments.blocks, arguments.memory);
    arguments.orders.iter().try_for_each(|order| measure(*order, &arguments))
}

fn main() -> ExitCode {
    match Arguments::of(std::env::args().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
