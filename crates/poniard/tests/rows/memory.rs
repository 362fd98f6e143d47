//! Memory: what tasks declare, and what the runtime itself needs.

use crate::alone::{alone, alone_with};
use crate::signals::{Gate, Meeting, Peak, linger};
use poniard::prelude::*;

#[test]
fn declared_bytes_never_exceed_the_memory() {
    alone_with(8, &[("PONIARD_MEMORY", "100")], || {
        let declared = Peak::default();
        let tasks: Vec<_> = (0..200)
            .map(|i| {
                let bytes = [40, 60, 10, 100, 25][i % 5];
                let declared = declared.clone();
                spawn!(move || declared.while_held(bytes, linger), memory = bytes as u64)
            })
            .collect();
        for task in &tasks {
            task.fetch().unwrap();
        }
        assert!((100..=100).contains(&declared.reached()), "{}", declared.reached());
    });
}

#[test]
fn a_task_that_declares_more_than_there_is_runs_alone_among_those_that_declare() {
    alone_with(4, &[("PONIARD_MEMORY", "100")], || {
        let declared = Peak::default();
        let tasks: Vec<_> = (0..40)
            .map(|i| {
                let bytes = if i % 4 == 0 { 1000 } else { 50 };
                let declared = declared.clone();
                spawn!(move || declared.while_held(bytes, linger), memory = bytes as u64)
            })
            .collect();
        for task in &tasks {
            task.fetch().unwrap();
        }
        assert_eq!(declared.reached(), 1000);
    });
}

#[test]
fn what_fits_runs_side_by_side_and_what_declares_nothing_is_not_held_back() {
    alone_with(4, &[("PONIARD_MEMORY", "1KiB")], || {
        let gate = Gate::with(Options::new().memory(1024));
        let held_back = spawn!(|| 1, memory = 1);
        assert_eq!(spawn!(|| 2).fetch().unwrap(), 2);
        assert!(!held_back.is_ready());
        gate.open();
        assert_eq!(held_back.fetch().unwrap(), 1);
        let both = Meeting::of(2);
        let (here, there) = (both.clone(), both);
        let tasks = [spawn!(move || here.meet(), memory = 512), spawn!(move || there.meet(), memory = 512)];
        assert!(tasks.iter().all(|task| task.fetch().unwrap().0));
    });
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn b39_a_hundred_thousand_spawns_reuse_the_memory_of_those_before() {
    /// 100 000 tasks: in chains, in nested pairs as in the occupancy example, and alone.
    fn round() {
        let pair = || spawn!(|| fetch_all(&[spawn!(|| 1), spawn!(|| 2)]).map_or(0, |both| both[0]));
        let pairs: Vec<_> = (0..10_000).map(|_| pair()).collect();
        assert_eq!(fetch_all(&pairs).unwrap().len(), 10_000);
        let last = (0..30_000).fold(spawn!(|| 0), |task, _| spawn!((|x: &i32| x + 1)(&task)));
        assert_eq!(last.fetch().unwrap(), 30_000);
        drop((0..40_000).map(|i| spawn!((|i| i)(i))).collect::<Vec<_>>());
        sync(|| (0..100).for_each(|_| drop(spawn!(|| ())))).unwrap();
    }
    alone(2, || {
        (0..3).for_each(|_| round());
        let before = resident();
        (0..10).for_each(|_| round());
        let grown = resident().saturating_sub(before);
        // A task object is about 100 bytes: a million that leaked would be 100 MiB.
        assert!(grown < 24 << 20, "{} KiB more after a million tasks", grown >> 10);
        let status = poniard::status();
        assert!(status.threads < 64, "{} threads", status.threads);
    });
}
