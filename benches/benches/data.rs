//! What chunks cost: `cargo bench -p poniard-benches --bench data`.
//!
//! `REPS=9` repetitions, `PONIARD_THREADS=2` threads.
#![forbid(unsafe_code)]

use poniard::prelude::*;
use poniard::{Order, Tile};
use poniard_benches::{heading, measure, repetitions, threads};
use std::hint::black_box;

const SMALL: usize = 1_000_000;
const LARGE: usize = 10_000;
/// Numbers of a value that is just large enough to count for the budget.
const KEPT: usize = 4096;

fn main() -> poniard::Result<()> {
    let _cluster = Cluster::local().threads(threads()).start()?;
    let repetitions = repetitions();
    heading();
    measure("put + fetch_ref of 8 bytes", SMALL, repetitions, || {
        for number in 0..SMALL as u64 {
            let chunk = put(number).expect("there is memory");
            black_box(*chunk.fetch_ref().expect("it is there"));
        }
    });
    measure("put + fetch_ref of 32 KiB, shared", LARGE, repetitions, || {
        let tile = Tile::from_vec(vec![1.0; KEPT], &[KEPT], Order::Col).expect("the shape fits");
        for _ in 0..LARGE {
            let chunk = put(tile.clone()).expect("there is memory");
            black_box(chunk.fetch_ref().expect("it is there").len());
        }
    });
    measure("task that makes 32 KiB, shared, and one that reads it", LARGE, repetitions, || {
        let tile = put(Tile::from_vec(vec![1.0; KEPT], &[KEPT], Order::Col).expect("the shape fits"))
            .expect("there is memory");
        let made: Vec<_> = (0..LARGE).map(|_| spawn!((|tile: &Tile<f64>| tile.clone())(&tile))).collect();
        let read: Vec<_> = made.iter().map(|x| spawn!((|tile: &Tile<f64>| tile.len())(x))).collect();
        wait_all(&read);
    });
    Ok(())
}
