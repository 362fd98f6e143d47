//! Memory of a waiting task: `cargo bench -p poniard-benches --bench memory` (`TASKS=10000000`).
#![forbid(unsafe_code)]

use poniard::prelude::*;
use poniard_benches::{from_env, resident};
use std::sync::mpsc::channel;
use std::time::Instant;

fn one(_: &()) -> u64 {
    1
}

fn main() -> poniard::Result<()> {
    let tasks = from_env("TASKS", 10_000_000);
    let _cluster = Cluster::local().threads(2).start()?;
    let (open, opened) = channel::<()>();
    let gate = spawn!(move || {
        let _ = opened.recv();
    });
    let gate = spawn!(gate = &gate => { let _: &() = gate; });
    let mut handles: Vec<DTask<u64>> = Vec::with_capacity(tasks);
    let before = resident();
    let began = Instant::now();
    for _ in 0..tasks {
        handles.push(spawn!(one(&gate)));
    }
    let spawned = began.elapsed();
    let bytes = (resident() - before) as f64 / tasks as f64;
    println!("{tasks} tasks wait: {bytes:.1} bytes each, the 8 of the handle included");
    println!("spawned at {:.1} ns each", spawned.as_nanos() as f64 / tasks as f64);
    let began = Instant::now();
    drop(open);
    let sum: u64 = handles.iter().map(|task| task.fetch().expect("it does not fail")).sum();
    assert_eq!(sum, tasks as u64);
    println!("run and fetched at {:.1} ns each", began.elapsed().as_nanos() as f64 / tasks as f64);
    Ok(())
}
