//! Waiting for one task.

use crate::alone::alone;
use crate::signals::{Gate, LIMIT, Meeting};
use poniard::prelude::*;
use std::sync::mpsc::channel;

fn fails() -> i64 {
    panic!("it fails")
}

#[test]
fn a06_wait_gives_no_value_and_does_not_tell_of_a_failure() {
    let (good, bad) = (spawn!(|| 1), spawn!(fails()));
    let nothing: () = good.wait();
    bad.wait();
    assert_eq!((nothing, good.is_ready(), bad.is_ready()), ((), true, true));
    bad.any().wait();
}

#[test]
fn a06_wait_blocks_until_the_task_has_ended() {
    alone(2, || {
        let gate = Gate::running();
        let (send, ended) = channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                gate.task.wait();
                send.send(gate.task.is_ready()).unwrap();
            });
            assert!(ended.try_recv().is_err());
            gate.open();
            assert_eq!(ended.recv_timeout(LIMIT), Ok(true));
        });
    });
}

#[test]
fn a29_a_list_of_tasks_is_waited_for_one_by_one() {
    let tasks: Vec<DTask<i64>> =
        (0..10).map(|i| if i == 5 { spawn!(fails()) } else { spawn!((|i| i)(i)) }).collect();
    tasks.iter().for_each(DTask::wait);
    assert!(tasks.iter().all(DTask::is_ready));
    wait_all(&tasks);
}

#[test]
fn b15_is_ready_is_false_while_a_task_runs_and_true_after() {
    alone(2, || {
        let gate = Gate::running();
        let waiting = spawn!(_gate = &gate.task => 1);
        assert!(!gate.task.is_ready() && !waiting.is_ready());
        gate.open();
        waiting.wait();
        assert!(gate.task.is_ready() && waiting.is_ready());
    });
}

#[test]
fn a_fetch_outside_tasks_does_not_get_stuck_in_a_task_of_no_occupancy() {
    // The tasks end when the program goes on after its fetch.
    alone(2, || {
        for _ in 0..20 {
            let opened = Meeting::of(4);
            let stuck: Vec<_> = (0..3)
                .map(|_| {
                    let opened = opened.clone();
                    spawn!(move || opened.meet(), occupancy = 0)
                })
                .collect();
            assert_eq!(spawn!(|| 1, occupancy = 0).fetch().unwrap(), 1);
            assert!(opened.meet());
            assert!(stuck.iter().all(|task| task.fetch().unwrap().0));
        }
    });
}

#[test]
fn a_wait_inside_a_task_never_runs_another_task_on_top_of_it() {
    // The waiting task holds a lock that the other task wants.
    alone(1, || {
        let lock = std::sync::Arc::new(std::sync::Mutex::new(0));
        let gate = Gate::aside();
        let (there, gated, (send, held)) = (lock.clone(), gate.task.clone(), channel());
        let holder = spawn!(move || {
            let mut count = there.lock().unwrap();
            send.send(()).unwrap();
            gated.wait();
            *count += 1;
        });
        held.recv_timeout(LIMIT).unwrap();
        let wanting = spawn!(move || *lock.lock().unwrap());
        gate.open();
        assert_eq!(wanting.fetch().unwrap().0, 1);
        holder.fetch().unwrap();
    });
}

#[test]
fn many_threads_of_the_program_may_wait_at_once() {
    alone(2, || {
        let gate = Gate::running();
        let after = spawn!(_gate = &gate.task => 7);
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..8).map(|_| scope.spawn(|| after.fetch().unwrap())).collect();
            gate.open();
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap() == 7));
        });
    });
}

#[test]
fn a_fetch_outside_tasks_runs_nothing_that_waits_for_the_program() {
    alone(2, || {
        for _ in 0..100 {
            let (go, gone) = channel::<()>();
            let waits = spawn!(move || gone.recv_timeout(LIMIT).is_ok());
            assert_eq!(spawn!(|| 1).fetch().unwrap(), 1);
            go.send(()).unwrap();
            assert!(waits.fetch().unwrap().0);
        }
    });
}
