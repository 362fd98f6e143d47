//! Who runs or ends a task: exactly one, and exactly one gives its arguments back.

use super::*;
use crate::gate::{Claim, Gate, Satisfied, Wired};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed, Ordering::SeqCst, fence};
use loom::thread;

/// A task, as far as the gate guards it.
struct Task {
    gate: Gate,
    /// Written by the spawner; changed by whoever runs or drops them.
    arguments: Guarded,
    /// Changed by whoever ends the task.
    slot: Guarded,
    runs: AtomicU32,
    flag: AtomicU32,
}

impl Task {
    fn new(gate: Gate) -> Arc<Task> {
        let (runs, flag) = (AtomicU32::new(0), AtomicU32::new(0));
        Arc::new(Task { gate, arguments: Guarded::new(), slot: Guarded::new(), runs, flag })
    }

    /// What a queue entry does.
    fn dequeued(&self) {
        if self.gate.claim() {
            self.runs.fetch_add(1, Relaxed);
            self.arguments.change();
            self.slot.change();
        }
    }

    fn satisfy(&self) {
        match self.gate.satisfy() {
            Satisfied::Waiting => {}
            Satisfied::Ready => self.dequeued(),
            Satisfied::Spent => self.arguments.change(),
        }
    }

    /// What a failed input does.
    fn input_failed(&self) {
        if let Claim::Won { .. } = self.gate.input_failed() {
            self.slot.change();
        }
        self.satisfy();
    }

    fn cancel(&self) {
        if let Claim::Won { edges_left } = self.gate.cancel() {
            self.slot.change();
            if !edges_left {
                self.arguments.change();
            }
        }
    }

    /// What the spawner does after it has hung up `edges`.
    fn wired(&self, edges: u32) {
        match self.gate.wired(edges) {
            Wired::Waiting => {}
            Wired::Ready => self.dequeued(),
            Wired::Poisoned => {
                self.slot.change();
                self.unwire(edges);
            }
        }
    }

    fn unwire(&self, edges: u32) {
        if self.gate.unwire(edges) == Satisfied::Spent {
            self.arguments.change();
        }
    }

    /// The arguments were written `writes` times.
    fn ended_once(&self, writes: u32) {
        assert_eq!(self.slot.count(), 1, "one party ends the task");
        assert_eq!(self.arguments.count(), writes + 1, "one party has the arguments at last");
    }
}

/// Plays what the spawner does against the `others`.
fn game(
    preemptions: Option<usize>,
    gate: fn() -> Gate,
    spawner: fn(&Task),
    others: &'static [fn(&Task)],
    at_last: fn(&Task),
) {
    let model = move || {
        let task = Task::new(gate());
        let others: Vec<_> = others
            .iter()
            .map(|other| {
                let task = task.clone();
                thread::spawn(move || other(&task))
            })
            .collect();
        spawner(&task);
        others.into_iter().for_each(|other| other.join().unwrap());
        at_last(&task);
    };
    match preemptions {
        None => play(model),
        Some(bound) => play_bounded(bound, model),
    }
}

/// Writes the arguments, as the spawner does while it wires.
fn write_and_wire_two(task: &Task) {
    task.arguments.change();
    task.wired(2);
}

#[test]
fn the_last_of_two_inputs_makes_the_task_ready() {
    game(None, Gate::wiring, write_and_wire_two, &[Task::satisfy, Task::satisfy], |task| {
        task.ended_once(1);
        assert_eq!(task.runs.load(Relaxed), 1);
    });
}

#[test]
fn a_failed_input_against_wiring_and_another_input() {
    game(None, Gate::wiring, write_and_wire_two, &[Task::input_failed, Task::satisfy], |task| {
        task.ended_once(1);
        assert_eq!(task.runs.load(Relaxed), 0);
    });
}

#[test]
fn two_failed_inputs_against_wiring() {
    game(None, Gate::wiring, write_and_wire_two, &[Task::input_failed, Task::input_failed], |task| {
        task.ended_once(1)
    });
}

#[test]
fn a_cancel_against_a_failed_input_another_input_and_wiring() {
    let others: &[fn(&Task)] = &[Task::input_failed, Task::satisfy, Task::cancel];
    game(Some(3), Gate::wiring, write_and_wire_two, others, |task| task.ended_once(1));
}

#[test]
fn a_refused_spawn_against_its_inputs() {
    let refuse = |task: &Task| {
        task.arguments.change();
        task.gate.refuse();
        task.slot.change();
        task.unwire(2);
    };
    game(None, Gate::wiring, refuse, &[Task::input_failed, Task::satisfy], |task| task.ended_once(1));
}

#[test]
fn a_cancel_against_two_inputs() {
    let wire_first = || {
        let gate = Gate::wiring();
        assert_eq!(gate.wired(2), Wired::Waiting);
        gate
    };
    game(None, wire_first, Task::cancel, &[Task::satisfy, Task::satisfy], |task| task.ended_once(0));
}

#[test]
fn a_cancel_against_a_run() {
    game(None, Gate::ready, Task::cancel, &[Task::dequeued, Task::dequeued], |task| task.ended_once(0));
}

/// Cancels a task that may be busy: who has it looks for the flag when it opens the gate.
fn flag_and_cancel(task: &Task) {
    task.flag.store(1, Relaxed);
    fence(SeqCst);
    task.cancel();
}

fn look_for_a_cancel(task: &Task) {
    fence(SeqCst);
    if task.flag.load(Relaxed) != 0 {
        task.cancel();
    }
}

#[test]
fn a_cancel_against_the_launch_of_a_held_task_is_not_lost() {
    let launch = |task: &Task| {
        if task.gate.launch() {
            // One input, which has not ended.
            assert_ne!(task.gate.wired(1), Wired::Ready);
            look_for_a_cancel(task);
        }
    };
    game(None, Gate::held, launch, &[flag_and_cancel], |task| assert_eq!(task.slot.count(), 1));
}

#[test]
fn a_cancel_against_a_pause_is_not_lost() {
    let pause = |task: &Task| {
        if task.gate.claim() {
            task.runs.fetch_add(1, Relaxed);
            task.arguments.change();
            task.gate.pause();
            look_for_a_cancel(task);
        }
    };
    game(None, Gate::ready, pause, &[flag_and_cancel], |task| {
        let attempts = task.runs.load(Relaxed);
        if attempts == 1 {
            // The timer.
            task.satisfy();
        }
        task.ended_once(attempts);
        assert_eq!(task.runs.load(Relaxed), attempts, "it is not run again");
    });
}
