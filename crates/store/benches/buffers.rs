//! What pooled memory costs against the allocator's, and what it costs to encode a value that holds large buffers:
//! `cargo bench -p poniard-store --bench buffers` (`REPS=9`, `ROUNDS=1000`).

use poniard_model::Data;
use poniard_store::{Arena, ArenaConfig, BufMut, Order, Tile};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

/// One block: 64 MiB, the size of a chunk that leaves memory.
const BLOCK: usize = 64 << 20;

fn main() {
    let repetitions = from_env("REPS", 9);
    println!("{:<64} {:>10} {:>10} {:>10}", "", "median", "min", "max");
    blocks(repetitions, from_env("ROUNDS", 1000));
    slots(repetitions);
    values(repetitions);
}

/// Blocks of 64 MiB, taken, written and freed.
fn blocks(repetitions: usize, rounds: usize) {
    let arena = Arena::new(ArenaConfig::default());
    let rate = |rounds: usize, mut block: Box<dyn FnMut()>| {
        let rate = || {
            let began = Instant::now();
            (0..rounds).for_each(|_| block());
            (rounds * BLOCK) as f64 / began.elapsed().as_secs_f64() / 1e9
        };
        std::iter::repeat_with(rate).take(repetitions).collect::<Vec<f64>>()
    };
    let mut kept = vec![0_u8; BLOCK];
    let floor = Box::new(move || black_box(&mut kept).fill(7));
    let fresh = Box::new(|| drop(black_box(vec![7_u8; BLOCK])));
    let warm = {
        let arena = arena.clone();
        Box::new(move || black_box(BufMut::take(&arena, BLOCK).expect("there is memory")).fill(7))
    };
    let cold = {
        let arena = Arena::new(ArenaConfig { warm_bytes_max: 0, ..ArenaConfig::default() });
        Box::new(move || black_box(BufMut::take(&arena, BLOCK).expect("there is memory")).fill(7))
    };
    let few = rounds.min(20);
    print("64 MiB written over and over, never freed (the floor)", rate(rounds.min(200), floor), "GB/s");
    print(&format!("64 MiB slot taken, written, freed, {rounds} times"), rate(rounds, warm), "GB/s");
    print(&format!("the same with no warm slots, {few} times"), rate(few, cold), "GB/s");
    print(&format!("64 MiB Vec made, written, freed, {few} times"), rate(few, fresh), "GB/s");
}

/// A slot taken and freed, untouched.
fn slots(repetitions: usize) {
    let arena = Arena::new(ArenaConfig::default());
    for (name, len) in [("4 KiB", 4096), ("1 MiB", 1 << 20), ("64 MiB", BLOCK)] {
        let times = nanoseconds(100 * repetitions, 1000, || {
            black_box(BufMut::take(&arena, len).expect("there is memory"));
        });
        print(&format!("{name} buffer taken and freed, warm"), times, "ns");
    }
}

/// Values with two buffers of 64 MiB, written and read back.
fn values(repetitions: usize) {
    let tile = || Tile::<f64>::zeros(&[BLOCK / 8], Order::Col).expect("there is memory");
    let value = (tile(), tile());
    let codec = <(Tile<f64>, Tile<f64>)>::codec().expect("it is a serde type");
    let times = nanoseconds(100 * repetitions, 1000, || {
        let encoded = codec.encode(black_box(&value)).expect("it can be written");
        black_box(codec.decode(&encoded).expect("it can be read"));
    });
    print("two tiles of 64 MiB encoded and decoded", times, "ns");

    let numbers = Arc::new(vec![1.0_f64; BLOCK / 8]);
    let codec = Vec::<f64>::codec().expect("it is a serde type");
    let times = nanoseconds(100 * repetitions, 1000, || {
        black_box(codec.encode_shared(black_box(&numbers)).expect("it can be written"));
    });
    print("shared Vec<f64> of 64 MiB encoded", times, "ns");
    let rate = |times: Vec<f64>| times.into_iter().map(|time| BLOCK as f64 / time).collect::<Vec<f64>>();
    let times =
        nanoseconds(repetitions, 5, || drop(black_box(codec.encode(&numbers).expect("it can be written"))));
    print("Vec<f64> of 64 MiB encoded, with a copy", rate(times), "GB/s");
    let encoded = codec.encode_shared(&numbers).expect("it can be written");
    let times =
        nanoseconds(repetitions, 5, || drop(black_box(codec.decode(&encoded).expect("it can be read"))));
    print("Vec<f64> of 64 MiB decoded", rate(times), "GB/s");
    let times = nanoseconds(repetitions, 5, || drop(black_box(Vec::clone(&numbers))));
    print("Vec<f64> of 64 MiB cloned (the floor of both)", rate(times), "GB/s");
}

fn nanoseconds(repetitions: usize, count: usize, mut work: impl FnMut()) -> Vec<f64> {
    let time = || {
        let began = Instant::now();
        (0..count).for_each(|_| work());
        began.elapsed().as_nanos() as f64 / count as f64
    };
    std::iter::repeat_with(time).take(repetitions).collect()
}

fn print(name: &str, mut figures: Vec<f64>, unit: &str) {
    figures.sort_by(f64::total_cmp);
    let (min, median, max) = (figures[0], figures[figures.len() / 2], figures[figures.len() - 1]);
    println!("{name:<64} {median:>10.1} {min:>10.1} {max:>10.1} {unit}");
}

fn from_env(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
