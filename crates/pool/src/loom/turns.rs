//! Turns at a datum: one writer alone, or readers, and nobody is forgotten.

use super::*;
use crate::gate::{Gate, Satisfied, Wired};
use crate::turns::{Turns, Usage};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};
use loom::thread;

/// Tasks that use one datum, each with a gate like a real one.
struct Tasks {
    turns: Turns<usize>,
    datum: Guarded,
    gates: Vec<Gate>,
    usages: Vec<Usage>,
    runs: AtomicU32,
}

impl Tasks {
    fn new(usages: &[Usage]) -> Arc<Tasks> {
        Arc::new(Tasks {
            turns: Turns::new(),
            datum: Guarded::new(),
            gates: usages.iter().map(|_| Gate::wiring()).collect(),
            usages: usages.to_vec(),
            runs: AtomicU32::new(0),
        })
    }

    /// What a spawn does: enter, and run at once if the turn has come.
    fn spawn(&self, task: usize) {
        let (_, comes) = self.turns.enter(self.usages[task], task);
        match self.gates[task].wired(u32::from(!comes)) {
            Wired::Ready => self.run(task),
            Wired::Waiting => {}
            Wired::Poisoned => unreachable!("nothing fails"),
        }
    }

    fn run(&self, task: usize) {
        assert!(self.gates[task].claim());
        match self.usages[task] {
            Usage::Alone => self.datum.change(),
            Usage::Shared => {
                self.datum.count();
            }
        }
        self.runs.fetch_add(1, Relaxed);
        self.leave(task);
    }

    fn leave(&self, task: usize) {
        let mut next = self.turns.leave(self.usages[task]);
        while let Some(task) = next {
            self.satisfy(task);
            next = self.turns.next();
        }
    }

    fn satisfy(&self, task: usize) {
        match self.gates[task].satisfy() {
            Satisfied::Ready => self.run(task),
            Satisfied::Waiting => {}
            // It was cancelled: its turn passes.
            Satisfied::Spent => self.leave(task),
        }
    }
}

fn all_run(usages: &'static [Usage], changes: u32) {
    play_bounded(3, move || {
        let tasks = Tasks::new(usages);
        let spawners: Vec<_> = (1..usages.len())
            .map(|task| {
                let tasks = tasks.clone();
                thread::spawn(move || tasks.spawn(task))
            })
            .collect();
        tasks.spawn(0);
        spawners.into_iter().for_each(|spawner| spawner.join().unwrap());
        assert_eq!(tasks.runs.load(Relaxed), usages.len() as u32);
        assert_eq!(tasks.datum.count(), changes);
        assert_eq!(tasks.turns.len(), 0);
    });
}

#[test]
fn two_writers_are_never_at_it_together() {
    all_run(&[Usage::Alone, Usage::Alone], 2);
}

#[test]
fn a_writer_and_two_readers() {
    all_run(&[Usage::Alone, Usage::Shared, Usage::Shared], 1);
}

#[test]
fn two_writers_and_a_reader() {
    all_run(&[Usage::Alone, Usage::Shared, Usage::Alone], 2);
}

#[test]
fn a_cancel_against_a_turn_that_comes() {
    play(|| {
        let tasks = Tasks::new(&[Usage::Alone, Usage::Alone, Usage::Alone]);
        let (_, comes) = tasks.turns.enter(Usage::Alone, 0);
        assert!(comes);
        tasks.spawn(1);
        tasks.spawn(2);
        let canceller = {
            let tasks = tasks.clone();
            thread::spawn(move || match tasks.gates[1].cancel() {
                crate::gate::Claim::Won { edges_left } => {
                    if !edges_left {
                        tasks.leave(1);
                    }
                    true
                }
                crate::gate::Claim::Lost => false,
            })
        };
        // The first one leaves; what it makes ready is run from a queue, where a cancel may win.
        let mut next = tasks.turns.leave(Usage::Alone);
        let mut ready = Vec::new();
        while let Some(task) = next {
            match tasks.gates[task].satisfy() {
                Satisfied::Ready => ready.push(task),
                Satisfied::Spent => tasks.leave(task),
                Satisfied::Waiting => {}
            }
            next = tasks.turns.next();
        }
        for task in ready {
            if tasks.gates[task].claim() {
                tasks.datum.change();
                tasks.runs.fetch_add(1, Relaxed);
                tasks.leave(task);
            }
        }
        let cancelled = canceller.join().unwrap();
        assert_eq!(tasks.runs.load(Relaxed) + u32::from(cancelled), 2, "each ends once");
        assert_eq!((tasks.turns.len(), tasks.datum.count()), (0, tasks.runs.load(Relaxed)));
    });
}
