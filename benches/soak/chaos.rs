//! Kills, stops and removes workers while graphs run.

use crate::random::Random;
use poniard::prelude::*;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

/// What is done to workers in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Nothing.
    Quiet,
    /// Workers are stopped for less than the cluster's patience, removed in order, and added.
    Gentle,
    /// They are killed too.
    Deadly,
    /// And stopped for longer than the patience.
    Frozen,
}

impl Mood {
    pub(crate) fn of(word: &str) -> Option<Mood> {
        let all = [Mood::Quiet, Mood::Gentle, Mood::Deadly, Mood::Frozen];
        all.into_iter().find(|mood| format!("{mood:?}").eq_ignore_ascii_case(word))
    }
}

/// What has been done.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    pub(crate) kills: AtomicU64,
    pub(crate) stops: AtomicU64,
    pub(crate) long_stops: AtomicU64,
    pub(crate) removals: AtomicU64,
}

/// One round's chaos: it goes on until it is told to end.
pub(crate) struct Chaos<'a> {
    pub(crate) mood: Mood,
    pub(crate) cluster: &'a Cluster,
    pub(crate) deeds: &'a Deeds,
    pub(crate) random: Random,
    /// Deaths that the graph that runs may still see.
    pub(crate) deaths_left: &'a AtomicI32,
    pub(crate) is_over: &'a AtomicBool,
    /// Of workers that have said it.
    pub(crate) processes: BTreeMap<WorkerId, u32>,
}

/// Longer than the patience of a round that is frozen.
const LONG_STOP: Duration = Duration::from_secs(5);

impl Chaos<'_> {
    /// Goes on; says what has gone wrong with a removal.
    pub(crate) fn run(mut self) -> Result<(), String> {
        while self.mood != Mood::Quiet && self.pause() {
            match self.random.below(16) {
                0 => self.remove()?,
                1..6 => self.stop(),
                _ if self.mood == Mood::Gentle => self.stop(),
                6 if self.mood == Mood::Frozen => self.stop_for_long(),
                _ => self.kill(),
            }
        }
        Ok(())
    }

    fn pause(&mut self) -> bool {
        std::thread::sleep(Duration::from_millis(10 + self.random.below(250) as u64));
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Any worker but this process, and its process; none where it is gone meanwhile.
    fn somebody(&mut self) -> Option<(WorkerId, u32)> {
        let workers = self.cluster.workers();
        let worker = *workers.get(1 + self.random.below(workers.len().max(2) - 1))?;
        // Asked once: who has just answered has nothing else to do.
        if let Some(process) = self.processes.get(&worker) {
            return Some((worker, *process));
        }
        let first = Options::new().scope(Scope::worker(worker)).priority(1000);
        let process = with_options(first, || spawn!(std::process::id())).fetch().ok()?;
        self.processes.insert(worker, process);
        None
    }

    fn may_cost_a_life(&self) -> bool {
        self.deaths_left.fetch_sub(1, Ordering::Relaxed) > 0
    }

    fn kill(&mut self) {
        if !self.may_cost_a_life() {
            return;
        }
        let Some((_, process)) = self.somebody() else { return };
        // Two at once are another case than one after the other.
        let second = (self.random.one_in(4) && self.may_cost_a_life()).then(|| self.somebody()).flatten();
        let second = second.map(|(_, second)| second).filter(|second| *second != process);
        for process in [Some(process), second].into_iter().flatten() {
            signal("-KILL", process);
            self.deeds.kills.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn stop(&mut self) {
        let Some((_, process)) = self.somebody() else { return };
        signal("-STOP", process);
        std::thread::sleep(Duration::from_millis(10 + self.random.below(300) as u64));
        signal("-CONT", process);
        self.deeds.stops.fetch_add(1, Ordering::Relaxed);
    }

    fn stop_for_long(&mut self) {
        if !self.may_cost_a_life() {
            return;
        }
        let Some((_, process)) = self.somebody() else { return };
        signal("-STOP", process);
        std::thread::sleep(LONG_STOP);
        // It has been killed meanwhile: then this is an error, and nothing more.
        signal("-CONT", process);
        self.deeds.long_stops.fetch_add(1, Ordering::Relaxed);
    }

    fn remove(&mut self) -> Result<(), String> {
        let workers = self.cluster.workers();
        if workers.len() < 3 {
            return Ok(());
        }
        let worker = workers[1 + self.random.below(workers.len() - 1)];
        let removed = self.cluster.remove_worker_within(worker, Duration::from_secs(60));
        if let Err(error) = removed.map_err(|error| error.to_string()) {
            // It was killed just before, or while it left.
            let was_killed =
                ["has ended before", "ended before it had left"].iter().any(|how| error.contains(how));
            return if was_killed { Ok(()) } else { Err(error) };
        }
        self.cluster.add_workers(1).map_err(|error| error.to_string())?;
        self.deeds.removals.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn signal(signal: &str, process: u32) {
    let _ = Command::new("kill")
        .args([signal, &process.to_string()])
        .stderr(std::process::Stdio::null())
        .status();
}
