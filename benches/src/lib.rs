//! What the benchmarks share: repetitions, medians, and one line a result.
#![forbid(unsafe_code)]

use std::time::Instant;

/// Times `work` after one warm-up, `repetitions` times, and prints the median, the smallest and the largest time for
/// each of `count` operations, in nanoseconds.
pub fn measure(name: &str, count: usize, repetitions: usize, mut work: impl FnMut()) -> f64 {
    work();
    let mut times: Vec<f64> = (0..repetitions)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_nanos() as f64 / count as f64
        })
        .collect();
    print(name, &mut times, "ns")
}

/// Prints the median, the smallest and the largest of some figures; gives the median.
pub fn print(name: &str, figures: &mut [f64], unit: &str) -> f64 {
    figures.sort_by(f64::total_cmp);
    let median = figures[figures.len() / 2];
    let (min, max) = (figures[0], figures[figures.len() - 1]);
    println!("{name:<58} {median:>10.1} {min:>10.1} {max:>10.1} {unit}");
    median
}

/// Prints the heading over the figures.
pub fn heading() {
    println!("{:<58} {:>10} {:>10} {:>10}", "", "median", "min", "max");
}

/// Repetitions: `REPS`, 9 unless set.
pub fn repetitions() -> usize {
    from_env("REPS", 9)
}

/// A number from the environment.
pub fn from_env(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Threads of each side: `PONIARD_THREADS`, 2 unless set.
pub fn threads() -> usize {
    from_env("PONIARD_THREADS", 2)
}

/// Memory of this process that is in use, in bytes.
pub fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}
