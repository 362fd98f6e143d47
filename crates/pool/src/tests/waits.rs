//! Waits that cannot end are refused; others lend their processor.

use super::*;
use crate::{Dep, Holding, hold, promise};
use std::sync::{Arc, Barrier, mpsc};

#[test]
fn a_task_cannot_wait_for_itself() {
    let _pool = together();
    let (tell, told) = mpsc::channel::<Handle<bool>>();
    let task = run(move || told.recv().unwrap().get().err().unwrap().is_scheduling());
    tell.send(task.clone()).unwrap();
    assert!(wait(&task).unwrap());
}

#[test]
fn a_task_cannot_wait_for_one_that_takes_its_result() {
    let _pool = together();
    let (tell, told) = mpsc::channel::<Handle<bool>>();
    let first = run(move || told.recv().unwrap().get().err().unwrap().is_scheduling());
    let second = spawn(Dep::new(first.clone()), |refused| Ok(*refused), &SITE);
    tell.send(second.clone()).unwrap();
    assert!(wait(&second).unwrap());
}

#[test]
fn of_tasks_that_wait_for_each_other_one_is_refused() {
    let _pool = alone();
    for _ in 0..times(200) {
        let meet = Arc::new(Barrier::new(2));
        let (tells, tolds): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::channel::<Handle<bool>>()).unzip();
        let tasks: Vec<_> = tolds
            .into_iter()
            .map(|told| {
                let meet = meet.clone();
                run(move || {
                    let other = told.recv().unwrap();
                    meet.wait();
                    other.get().is_err()
                })
            })
            .collect();
        tells[0].send(tasks[1].clone()).unwrap();
        tells[1].send(tasks[0].clone()).unwrap();
        let refused: Vec<bool> = tasks.iter().map(|task| *wait(task).unwrap()).collect();
        assert!(refused.contains(&true) && refused.contains(&false), "{refused:?}");
    }
}

#[test]
fn a_held_task_cannot_be_waited_for_by_who_holds_it() {
    let _pool = together();
    let holding = Holding::begin();
    let (handle, held) = hold((), |()| Ok(1), &SITE);
    assert!(handle.get().err().unwrap().is_scheduling());
    held.launch(None);
    drop(holding);
    assert_eq!(handle.get().unwrap(), &1);
}

#[test]
fn who_waits_lends_its_processor() {
    let _pool = alone();
    let (gate, go) = promise::<u64>(&SITE);
    let waits: Vec<_> = (0..2 * PROCESSORS)
        .map(|_| {
            let gate = gate.clone();
            run(move || *gate.get().unwrap())
        })
        .collect();
    let free = run(|| 1);
    assert_eq!(wait(&free).unwrap(), &1);
    go.finish(Ok(2));
    assert!(waits.iter().all(|task| *wait(task).unwrap() == 2));
}

#[test]
fn a_body_that_waits_while_its_time_runs_out_is_harmed_by_nobody() {
    let _pool = together();
    for round in 0..times(300) as u64 {
        let (gate, go) = promise::<u64>(&SITE);
        let waits = run_with(limited(Duration::from_micros(20 + round % 200)), move || {
            for _ in 0..20 {
                let next = run(|| 1u64);
                next.get().unwrap();
            }
            gate.get().copied().ok()
        });
        let behind: Vec<_> =
            (0..20).map(|_| spawn(Dep::new(waits.clone()), |seen| Ok(*seen), &SITE)).collect();
        assert!(behind.iter().all(|task| error_of(task).is_timeout()));
        go.finish(Ok(1));
    }
}
