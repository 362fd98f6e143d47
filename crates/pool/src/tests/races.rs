//! Many of the same, to meet what the model checker does not play.

use super::*;
use crate::{Dep, Own, Value, promise};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};

#[test]
fn two_tasks_that_meet_get_both_processors() {
    let _pool = alone();
    for _ in 0..times(5000) {
        let meet = Arc::new(Barrier::new(2));
        let tasks = [(); 2].map(|()| {
            let meet = meet.clone();
            run(move || drop(meet.wait()))
        });
        tasks.iter().for_each(|task| *wait(task).unwrap());
    }
}

#[test]
fn cancels_race_ends_and_each_task_ends_once() {
    static ENDS: AtomicUsize = AtomicUsize::new(0);
    let _pool = together();
    let rounds = times(3000);
    for _ in 0..rounds {
        let first = spawn(Value::new(1u64), |value| Ok(value), &SITE);
        let second = spawn((Dep::new(first.clone()), Value::new(1u64)), |(a, b)| Ok(a + b), &SITE);
        let third = spawn((Dep::new(second.clone()), Own::new(first.clone())), |(a, b)| Ok(a + b), &SITE);
        third.erase().on_end(|| {
            ENDS.fetch_add(1, SeqCst);
        });
        second.erase().cancel();
        first.erase().cancel();
        match third.get() {
            Ok(sum) => assert_eq!(*sum, 3),
            Err(error) => assert!(error.is_cancelled()),
        }
    }
    until("every task has ended", || ENDS.load(SeqCst) == rounds);
}

#[test]
fn handles_are_used_and_dropped_by_many_threads() {
    let _pool = together();
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                for round in 0..times(2000) as u64 {
                    let (base, go) = promise::<u64>(&SITE);
                    let next: Vec<_> =
                        (0..3).map(|_| spawn(Own::new(base.clone()), |own| Ok(own + 1), &SITE)).collect();
                    drop(base);
                    go.finish(Ok(round));
                    assert!(next.iter().all(|task| *task.get().unwrap() == round + 1));
                }
            });
        }
    });
}

/// One thread, and a task that always leaves another one behind: what was there before runs all the same.
#[test]
fn tasks_that_spawn_their_successors_starve_nobody() {
    fn again(over: Arc<AtomicUsize>, chained: bool) {
        if over.load(SeqCst) > 0 {
            over.fetch_add(1, SeqCst);
        } else if chained {
            let gate = spawn(Value::new(0u64), |zero| Ok(zero), &SITE);
            let next = spawn((Dep::new(gate), Local::new(over)), |(_, over)| Ok(again(over, true)), &SITE);
            drop(next);
        } else {
            drop(run(move || again(over, false)));
        }
    }
    let _pool = other(1);
    for chained in [false, true] {
        let over = Arc::new(AtomicUsize::new(0));
        let first = over.clone();
        wait(&run(move || again(first, chained))).unwrap();
        // From outside: in a deque of its own. From a thread that has none: where everybody looks.
        let tasks: Vec<_> =
            (0..10).map(|number| spawn(Value::new(number), |value| Ok(value), &SITE)).collect();
        for task in &tasks {
            wait::<u64>(task).unwrap();
        }
        over.store(1, SeqCst);
        until("the last one has seen it", || over.load(SeqCst) == 2);
    }
}

#[test]
fn a_tree_of_waits_inside_tasks_ends() {
    fn leaves(depth: u32) -> u64 {
        if depth == 0 {
            return 1;
        }
        let other = run(move || leaves(depth - 1));
        leaves(depth - 1) + other.get().unwrap()
    }
    let _pool = together();
    let depth = if cfg!(poniard_system_blocks) { 7 } else { 14 };
    assert_eq!(run(move || leaves(depth)).get().unwrap(), &(1 << depth));
}

#[test]
fn a_pool_with_one_thread_and_more_waits_than_processors_goes_on() {
    let _pool = other(1);
    let (gate, go) = promise::<u64>(&SITE);
    let waits: Vec<_> = (0..20)
        .map(|_| {
            let gate = gate.clone();
            run(move || gate.get().copied().unwrap())
        })
        .collect();
    let last = run(move || go.finish(Ok(5)));
    wait(&last).unwrap();
    assert!(waits.iter().all(|task| *wait(task).unwrap() == 5));
}
