//! Priorities, scopes, shares, several processors, memory.

use super::*;
use crate::{Demand, Dep, WHOLE, current, promise};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};

fn demand(demand: Demand) -> Extra {
    asking(|extra| extra.demand = demand)
}

#[test]
fn with_one_processor_the_highest_priority_starts_first() {
    static ORDER: Mutex<Vec<i32>> = Mutex::new(Vec::new());
    let _pool = other(1);
    let (gate, go) = promise::<()>(&SITE);
    let tasks: Vec<_> = [0, 3, -1, 2, 1]
        .map(|priority| {
            let note = Local::new(move || ORDER.lock().unwrap().push(priority));
            let extra = demand(Demand { priority, ..Demand::default() });
            spawn_with((Dep::new(gate.clone()), note), |(_, note)| Ok(note()), &SITE, extra)
        })
        .into();
    // Finished by a task, so that all are ready before the processor is free.
    run(move || go.finish(Ok(())));
    tasks.iter().for_each(|task| drop(wait(task)));
    assert_eq!(*ORDER.lock().unwrap(), [3, 2, 1, 0, -1]);
}

#[test]
fn a_scope_keeps_tasks_on_its_processors() {
    let _pool = together();
    for processor in [0, 1] {
        let place = || demand(Demand { fits: Some([processor].into()), ..Demand::default() });
        let tasks: Vec<_> =
            (0..50).map(|_| run_with(place(), || current::processor().unwrap().index)).collect();
        assert!(tasks.iter().all(|task| *task.get().unwrap() == processor));
    }
    let nowhere = run_with(demand(Demand { fits: Some([7].into()), ..Demand::default() }), || ());
    assert!(nowhere.get().err().unwrap().is_scheduling(), "there is no processor 7");
    let wide = run_with(demand(Demand { width: 3, ..Demand::default() }), || ());
    assert!(wide.get().err().unwrap().is_scheduling());
}

#[test]
fn shares_run_beside_each_other_and_nothing_blocks_nobody() {
    let _pool = alone();
    // Four halves on two processors, and two of nothing, that all meet.
    let meet = Arc::new(Barrier::new(6));
    let tasks: Vec<_> = [500, 500, 500, 500, 0, 0]
        .into_iter()
        .map(|share| {
            let meet = meet.clone();
            run_with(demand(Demand { share, ..Demand::default() }), move || drop(meet.wait()))
        })
        .collect();
    tasks.iter().for_each(|task| *wait(task).unwrap());
    let whole = run_with(demand(Demand { share: WHOLE, priority: 1, ..Demand::default() }), || 1);
    assert_eq!(wait(&whole).unwrap(), &1, "the processors are given back");
}

#[test]
fn a_task_of_two_processors_runs_beside_no_other() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let _pool = alone();
    for _ in 0..times(300) {
        let narrow: Vec<_> = (0..4)
            .map(|_| {
                run(|| {
                    RUNNING.fetch_add(1, SeqCst);
                    std::hint::spin_loop();
                    RUNNING.fetch_sub(1, SeqCst);
                })
            })
            .collect();
        let wide = run_with(demand(Demand { width: 2, ..Demand::default() }), || RUNNING.load(SeqCst));
        assert_eq!(wait(&wide).unwrap(), &0);
        narrow.iter().for_each(|task| *wait(task).unwrap());
    }
}

#[test]
fn declared_memory_lets_in_what_fits_and_one_that_never_does() {
    static USED: AtomicUsize = AtomicUsize::new(0);
    let _pool = together();
    let tasks: Vec<_> = [600u64, 600, 5000, u64::MAX, u64::MAX, 100]
        .into_iter()
        .map(|memory| {
            run_with(demand(Demand { memory, ..Demand::default() }), move || {
                let big = usize::from(memory >= 600);
                let used = USED.fetch_add(big, SeqCst) + big;
                USED.fetch_sub(big, SeqCst);
                used
            })
        })
        .collect();
    assert!(tasks.iter().all(|task| *task.get().unwrap() <= 1));
}

#[test]
fn two_tasks_of_the_board_that_meet_get_both_processors() {
    let _pool = alone();
    for _ in 0..times(2000) {
        let meet = Arc::new(Barrier::new(2));
        let tasks = [1, 1].map(|priority| {
            let meet = meet.clone();
            run_with(demand(Demand { priority, ..Demand::default() }), move || drop(meet.wait()))
        });
        tasks.iter().for_each(|task| *wait(task).unwrap());
    }
}
