//! A 1-D periodic stencil as dataflow, a task for each point and step: how small may a task be?
//!
//! METG(75 %), the minimum effective task granularity: the time of one task, overhead included, at which 75 % of all
//! processors' time still goes into work (Slaughter et al., "Task Bench", SC20).
//! `cargo bench -p poniard-benches --bench stencil` (`WIDTH=4`, `STEPS=1000`).
#![forbid(unsafe_code)]

use poniard::prelude::*;
use poniard_benches::{from_env, heading, print, repetitions, threads};
use std::hint::black_box;
use std::time::Instant;

const SHARES: [f64; 2] = [0.5, 0.75];

/// Works for a while, in a chain of fused multiply-adds.
#[inline(never)]
fn work(iterations: u64) -> f64 {
    let mut x = 1.0_f64;
    for _ in 0..iterations {
        x = x.mul_add(0.999_999, 1e-7);
    }
    black_box(x)
}

/// Nanoseconds for one iteration of `work`, with a processor to itself.
fn iteration_time() -> f64 {
    let time = |_| {
        let began = Instant::now();
        work(2_000_000);
        began.elapsed().as_nanos() as f64 / 2e6
    };
    work(1_000_000);
    (0..5).map(time).fold(f64::MAX, f64::min)
}

fn mix(a: u64, b: u64, c: u64) -> u64 {
    (a * 3 + b * 5 + c * 7 + 1) % 1_000_003
}

fn point(a: &u64, b: &u64, c: &u64, iterations: u64) -> u64 {
    work(iterations);
    mix(*a, *b, *c)
}

fn serial(width: usize, steps: usize) -> Vec<u64> {
    let mut row: Vec<u64> = (0..width as u64).collect();
    for _ in 0..steps {
        row = (0..width).map(|i| mix(row[(i + width - 1) % width], row[i], row[(i + 1) % width])).collect();
    }
    row
}

fn stencil(width: usize, steps: usize, iterations: u64) -> Vec<u64> {
    let mut row: Vec<DTask<u64>> = (0..width as u64).map(|x| spawn!((|x| x)(x))).collect();
    for _ in 0..steps {
        row = (0..width)
            .map(|i| {
                let (left, right) = (&row[(i + width - 1) % width], &row[(i + 1) % width]);
                spawn!(point(left, &row[i], right, iterations))
            })
            .collect();
    }
    fetch_all(&row).expect("the stencil does not fail")
}

/// The granularity, in microseconds, at each share of `SHARES`; infinite where even large tasks do not reach it.
fn granularity(width: usize, steps: usize, threads: usize, expected: &[u64], verbose: bool) -> [f64; 2] {
    let iteration = iteration_time();
    let tasks = (width * steps) as f64;
    let mut found = [0.0; 2];
    // The last point above each share, and whether the one before was below it already.
    let mut above = [(1.0, f64::INFINITY); 2];
    let mut below: [Option<(f64, f64)>; 2] = [None; 2];
    let mut size = 131_072.0_f64;
    while size >= 2.0 && found.contains(&0.0) {
        let iterations = size as u64;
        let run = |_| {
            let began = Instant::now();
            assert_eq!(stencil(width, steps, iterations), expected);
            began.elapsed().as_nanos() as f64
        };
        let best = (0..3).map(run).fold(f64::MAX, f64::min);
        let share = iterations as f64 * iteration * tasks / (best * threads as f64);
        let each = best * threads as f64 / tasks;
        if verbose {
            println!(
                "  {iterations:>7} iterations: {:>9.2} us a task, {:.1} % work",
                each / 1e3,
                share * 100.0
            );
        }
        for (which, wanted) in SHARES.into_iter().enumerate() {
            if found[which] > 0.0 {
                continue;
            }
            if share >= wanted {
                (above[which], below[which]) = ((share, each), None);
            } else if let Some((low, small)) = below[which] {
                let (high, large) = above[which];
                let weight = (wanted - low) / (high - low);
                found[which] = (small.ln() + (large.ln() - small.ln()) * weight).exp() / 1e3;
            } else {
                below[which] = Some((share, each));
            }
        }
        size /= std::f64::consts::SQRT_2;
    }
    found
}

fn main() -> poniard::Result<()> {
    let (width, steps) = (from_env("WIDTH", 4), from_env("STEPS", 1000));
    let threads = threads();
    let _cluster = Cluster::local().threads(threads).start()?;
    let expected = serial(width, steps);
    let verbose = std::env::var_os("VERBOSE").is_some();
    let runs: Vec<[f64; 2]> =
        (0..repetitions().min(5)).map(|_| granularity(width, steps, threads, &expected, verbose)).collect();
    heading();
    for (which, share) in SHARES.into_iter().enumerate() {
        let mut figures: Vec<f64> = runs.iter().map(|run| run[which]).collect();
        print(
            &format!("stencil {width} wide, {steps} steps: METG({:.0} %)", share * 100.0),
            &mut figures,
            "us",
        );
    }
    Ok(())
}
