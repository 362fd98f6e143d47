//! Shares of processors.

use crate::alone::alone;
use crate::clock::Clock;
use crate::signals::{Gate, LIMIT, Meeting, Peak, linger};
use poniard::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, RwLock};

#[test]
fn b06_a_task_fills_its_processor_until_it_ends() {
    alone(1, || {
        let gate = Gate::running();
        let started = Arc::new(AtomicBool::new(false));
        let inside = started.clone();
        let second = spawn!(move || inside.store(true, Ordering::SeqCst));
        linger();
        assert!(!started.load(Ordering::SeqCst));
        gate.open();
        second.wait();
        assert!(started.load(Ordering::SeqCst));
    });
}

#[test]
fn b06_a_task_that_waits_leaves_its_processor_to_others() {
    alone(1, || {
        let (gate, (go, gone)) = (Gate::aside(), channel());
        let gated = gate.task.clone();
        let first = spawn!(move || {
            go.send(()).unwrap();
            gated.wait();
        });
        gone.recv_timeout(LIMIT).unwrap();
        let (ran, has_run) = channel();
        let second = spawn!(move || ran.send(()).unwrap());
        has_run.recv_timeout(LIMIT).expect("the second runs while the first waits");
        assert!(!first.is_ready());
        gate.open();
        wait_all(&[first, second]);
    });
}

#[test]
fn b36_tasks_of_no_occupancy_run_all_at_once() {
    const N: usize = 16;
    alone(2, || {
        let all = Meeting::of(N);
        let tasks: Vec<_> = (0..N)
            .map(|_| {
                let all = all.clone();
                spawn!(move || all.meet(), occupancy = 0)
            })
            .collect();
        assert!(tasks.iter().all(|task| task.fetch().unwrap().0));
    });
}

#[test]
fn b36_tasks_of_no_occupancy_run_beside_a_full_one() {
    alone(1, || {
        let gate = Gate::running();
        let all = Meeting::of(4);
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let all = all.clone();
                spawn!(move || all.meet(), occupancy = 0.0)
            })
            .collect();
        assert!(tasks.iter().all(|task| task.fetch().unwrap().0));
        assert!(!gate.task.is_ready());
        gate.open();
    });
}

#[test]
fn b36_hundreds_of_blocked_tasks_of_no_occupancy_leave_threads_to_the_others() {
    // More than there may be threads.
    const N: usize = 600;
    alone(2, || {
        let lock = Arc::new(RwLock::new(()));
        let locked = lock.write().unwrap();
        let blocked: Vec<_> = (0..N)
            .map(|_| {
                let lock = lock.clone();
                spawn!(move || lock.read().is_ok(), occupancy = 0)
            })
            .collect();
        let (ran, has_run) = channel();
        let plain = spawn!(move || ran.send(()).unwrap());
        has_run.recv_timeout(LIMIT).expect("a thread is left");
        plain.wait();
        assert!(!blocked[0].is_ready());
        drop(locked);
        assert!(blocked.iter().all(|task| task.fetch().unwrap().0), "the rest has its turn");
    });
}

#[test]
fn b36_four_quarters_share_a_processor() {
    alone(1, || {
        let all = Meeting::of(4);
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let all = all.clone();
                spawn!(move || all.meet(), occupancy = 0.25)
            })
            .collect();
        assert!(tasks.iter().all(|task| task.fetch().unwrap().0));
    });
}

#[test]
fn b36_shares_never_add_up_to_more_than_the_processors() {
    alone(2, || {
        let whole = Peak::default();
        let per_processor: Vec<Peak> = (0..2).map(|_| Peak::default()).collect();
        let tasks: Vec<_> = (0..400)
            .map(|i| {
                let hundredths = [25, 50, 100, 30, 75][i % 5];
                let (whole, per_processor) = (whole.clone(), per_processor.clone());
                let work = move || {
                    let here = current_processor().expect("it holds a share of one").index as usize;
                    whole.while_held(hundredths, || per_processor[here].while_held(hundredths, linger));
                };
                spawn!(move || work(), occupancy = hundredths as f64 / 100.0)
            })
            .collect();
        for task in &tasks {
            task.fetch().unwrap();
        }
        assert!(whole.reached() <= 200, "{} of 200 hundredths", whole.reached());
        for (processor, peak) in per_processor.iter().enumerate() {
            assert!(peak.reached() <= 100, "{} of 100 hundredths on {}", peak.reached(), processor);
        }
    });
}

#[test]
fn b36_quarters_are_at_most_four_on_a_processor() {
    alone(2, || {
        let peak = Peak::default();
        let tasks: Vec<_> = (0..400)
            .map(|_| {
                let peak = peak.clone();
                spawn!(move || peak.while_held(1, linger), occupancy = 0.25)
            })
            .collect();
        wait_all(&tasks);
        assert!((1..=8).contains(&peak.reached()), "{}", peak.reached());
    });
}

/// `outer` tasks spawn two inner ones each and wait for them. Gives how many inner ones ran at most at a time.
fn outer_and_inner(outer: usize, inner: Options) -> usize {
    let peak = Peak::default();
    let tasks: Vec<_> = (0..outer)
        .map(|_| {
            let (peak, inner) = (peak.clone(), inner.clone());
            let work = move || {
                let spawned: Vec<_> = (0..2)
                    .map(|_| {
                        let peak = peak.clone();
                        with_options(inner.clone(), || spawn!(move || peak.while_held(1, linger)))
                    })
                    .collect();
                wait_all(&spawned);
            };
            spawn!(move || work())
        })
        .collect();
    for task in &tasks {
        task.fetch().unwrap();
    }
    peak.reached()
}

#[test]
fn b37_full_tasks_inside_full_ones_never_exceed_the_processors_and_never_deadlock() {
    alone(1, || {
        for outer in [1, 2, 4, 8, 16] {
            assert_eq!(outer_and_inner(outer, Options::new()), 1);
        }
    });
}

#[test]
fn b37_full_tasks_without_waits_never_exceed_the_processors() {
    alone(2, || {
        let peak = Peak::default();
        let tasks: Vec<_> = (0..200)
            .map(|_| {
                let peak = peak.clone();
                spawn!(move || peak.while_held(1, linger))
            })
            .collect();
        wait_all(&tasks);
        assert!((1..=2).contains(&peak.reached()), "{}", peak.reached());
    });
}

/// `outer` tasks, each of which spawns two that sleep for a tick, and waits for them. Gives how long all took, where `at_once` of
/// the inner ones must run at any time.
fn ticks_of_outer_and_inner(outer: usize, inner: Options, at_once: usize) -> u64 {
    let clock = Clock::default();
    let tasks: Vec<_> = (0..outer)
        .map(|number| {
            let (clock, inner) = (clock.clone(), inner.clone());
            let work = move || {
                let spawned = [0, 1].map(|which| {
                    let clock = clock.clone();
                    with_options(inner.clone(), || spawn!(move || clock.sleep(2 * number + which, 1)))
                });
                spawned.iter().for_each(|task| drop(task.fetch_ref().unwrap()));
            };
            spawn!(move || work())
        })
        .collect();
    let ticks = clock.run(|ended| (2 * outer - ended.len()).min(at_once));
    tasks.iter().for_each(|task| drop(task.fetch_ref().unwrap()));
    ticks
}

#[test]
fn b37_full_tasks_take_longer_when_the_processors_run_out() {
    const THREADS: usize = 8;
    alone(THREADS, || {
        // A sleep is a tick: the page shows 0.12, 0.10, 0.11, 0.21 and 0.53 s.
        let ticks = [1, 2, 4, 8, 16].map(|outer| ticks_of_outer_and_inner(outer, Options::new(), THREADS));
        assert_eq!(ticks, [1, 1, 1, 2, 4]);
    });
}

#[test]
fn b37_one_processor_takes_a_tick_for_each_inner_task() {
    alone(1, || {
        let ticks = [1, 2, 4, 8, 16].map(|outer| ticks_of_outer_and_inner(outer, Options::new(), 1));
        assert_eq!(ticks, [2, 4, 8, 16, 32]);
    });
}

#[test]
fn b38_inner_tasks_of_no_occupancy_take_as_long_however_many_there_are() {
    alone(8, || {
        // The page shows 0.12, 0.11, 0.11, 0.11 and 0.12 s.
        let inner = Options::new().occupancy(0);
        let ticks = [1, 2, 4, 8, 16].map(|outer| ticks_of_outer_and_inner(outer, inner.clone(), usize::MAX));
        assert_eq!(ticks, [1; 5]);
    });
}

#[test]
fn b38_inner_tasks_of_no_occupancy_all_run_at_once_whatever_the_processors() {
    alone(1, || {
        let inner = Options::new().occupancy(0);
        assert_eq!(ticks_of_outer_and_inner(16, inner, usize::MAX), 1);
    });
}

#[test]
fn b40_parents_that_wait_leave_their_processor_to_their_children() {
    // All parents wait at the same time: none of them may keep the only processor.
    alone(1, || {
        let all = Meeting::of(8);
        let parents: Vec<_> = (0..8)
            .map(|_| {
                let all = all.clone();
                let work = move || {
                    let children = [(); 2].map(|()| spawn!(|| 1));
                    let gathered =
                        spawn!(move _a = &children[0], _b = &children[1] => all.meet(), occupancy = 0);
                    gathered.fetch().unwrap().0
                };
                spawn!(move || work())
            })
            .collect();
        assert!(parents.iter().all(|task| task.fetch().unwrap().0));
    });
}
