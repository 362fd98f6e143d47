//! Two nested loops, where the inner work depends on the outer: as tasks over both levels, and as a parallel loop over
//! one of them.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use poniard::prelude::*;
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

const OUTER: usize = 20;
const INNER: usize = 6;
/// What all calls take one after the other.
const WORK: Duration = Duration::from_secs(2);
/// More would only sleep beside each other.
const THREADS_MAX: usize = 256;

/// The outer loop's work: `y`.
fn f(i: usize, takes: Duration) -> usize {
    std::thread::sleep(takes);
    i
}

/// The inner loop's work, which needs `y`.
fn g(j: usize, y: &usize, takes: Duration) -> usize {
    std::thread::sleep(takes);
    y * INNER + j
}

/// How long the calls of one round of the outer loop take.
struct Round {
    f: Duration,
    g: [Duration; INNER],
}

fn main() -> ExitCode {
    let threads = match threads() {
        Ok(threads) => threads,
        Err(wrong) => {
            eprintln!("nested_loops: {wrong}");
            return ExitCode::from(2);
        }
    };
    match compare(threads) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nested_loops: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(threads: usize) -> Result<(), Box<dyn std::error::Error>> {
    let _cluster = Cluster::local().threads(threads).start()?;
    let rayon = ThreadPoolBuilder::new().num_threads(threads).build()?;
    let rounds = rounds();
    let least = lower_bound(&rounds, threads);

    println!("{OUTER} calls of f, and {INNER} calls of g after each: {WORK:?} of work, {threads} threads");
    println!("no schedule can take less than {:.3} s\n", least.as_secs_f64());
    println!("{:<40} {:>9} {:>12}", "", "time", "of the least");
    report("poniard: tasks over both loops", least, || as_tasks(&rounds))?;
    report("rayon: parallel outer loop, serial inner", least, || Ok(rayon.install(|| outer_loop(&rounds))))?;
    report("rayon: serial outer loop, parallel inner", least, || Ok(rayon.install(|| inner_loop(&rounds))))?;
    Ok(())
}

/// Both loops at once: each `g` starts as soon as its own `f` has ended.
fn as_tasks(rounds: &[Round]) -> poniard::Result<usize> {
    let mut all = Vec::new();
    for (i, round) in rounds.iter().enumerate() {
        let y = spawn!(f(i, round.f));
        for j in 0..INNER {
            all.push(spawn!(g(j, &y, round.g[j])));
        }
    }
    Ok(fetch_all(&all)?.iter().sum())
}

/// Near the end there are fewer rounds left than threads, and each is long.
fn outer_loop(rounds: &[Round]) -> usize {
    let round = |(i, round): (usize, &Round)| {
        let y = f(i, round.f);
        (0..INNER).map(|j| g(j, &y, round.g[j])).sum::<usize>()
    };
    rounds.par_iter().enumerate().with_max_len(1).map(round).sum()
}

/// All threads wait for each `f`, and for the longest `g` of each round.
fn inner_loop(rounds: &[Round]) -> usize {
    let round = |(i, round): (usize, &Round)| {
        let y = f(i, round.f);
        (0..INNER).into_par_iter().with_max_len(1).map(|j| g(j, &y, round.g[j])).sum::<usize>()
    };
    rounds.iter().enumerate().map(round).sum()
}

/// Times one way of doing it, checks its result and prints a row.
fn report(way: &str, least: Duration, work: impl FnOnce() -> poniard::Result<usize>) -> poniard::Result<()> {
    let start = Instant::now();
    let sum = work()?;
    let time = start.elapsed().as_secs_f64();
    assert_eq!(sum, (0..OUTER * INNER).sum::<usize>(), "{way}: every call of g counts once");
    println!("{way:<40} {time:>7.3} s {:>11.2}x", time / least.as_secs_f64());
    Ok(())
}

/// All threads busy all the time; or the longest chain of an `f` and a `g`, if that takes longer.
fn lower_bound(rounds: &[Round], threads: usize) -> Duration {
    let chain = |round: &Round| round.f + round.g.iter().max().copied().unwrap_or_default();
    let longest = rounds.iter().map(chain).max().unwrap_or_default();
    longest.max(WORK / threads as u32)
}

/// Durations as uneven as in real programs, and the same in each run: the sizes of normally distributed numbers.
fn rounds() -> Vec<Round> {
    let mut random = Random(1);
    let sizes: Vec<f64> = (0..OUTER * (INNER + 1)).map(|_| random.normal().abs()).collect();
    let second = WORK.as_secs_f64() / sizes.iter().sum::<f64>();
    let duration = |size: &f64| Duration::from_secs_f64(size * second);
    let round =
        |sizes: &[f64]| Round { f: duration(&sizes[INNER]), g: std::array::from_fn(|j| duration(&sizes[j])) };
    sizes.chunks(INNER + 1).map(round).collect()
}

/// A small random generator (xorshift64*, Vigna 2016).
struct Random(u64);

impl Random {
    /// Normally distributed, to the eye: twelve uniform numbers have the variance 1 together.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    /// From 0 to 1.
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) as f64 / u64::MAX as f64
    }
}

/// `--threads N`, else `PONIARD_THREADS`, else the number of cores.
fn threads() -> Result<usize, String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (origin, text) = match words.as_slice() {
        [] => match std::env::var("PONIARD_THREADS") {
            Ok(text) => ("PONIARD_THREADS", text),
            Err(_) => return Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        },
        [option, text] if option == "--threads" => ("--threads", text.clone()),
        other => return Err(format!("`{}`: it takes `--threads N` and nothing else", other.join(" "))),
    };
    match text.trim().parse() {
        Ok(threads @ 1..=THREADS_MAX) => Ok(threads),
        _ => Err(format!("{origin} is `{text}`: it takes a number from 1 to {THREADS_MAX}")),
    }
}
