//! Waits that cannot end are refused; others lend their processor.

use super::*;
use crate::travel::Wakes;
use crate::{Dep, Holding, hold, promise};
use poniard_model::Pinned;
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

/// The circle goes through so many waiting tasks; the last one of them is waited for.
fn circle_through(waiting: usize) {
    let (tell, told) = mpsc::channel::<Handle<bool>>();
    let first = run(move || told.recv().unwrap().get().err().unwrap().is_scheduling());
    let mut last = first.clone();
    for _ in 0..waiting {
        last = spawn(Dep::new(last), |refused| Ok(*refused), &SITE);
    }
    tell.send(last.clone()).unwrap();
    assert!(wait(&last).unwrap());
}

#[test]
fn a_task_cannot_wait_for_what_hangs_below_it_however_far() {
    let _pool = together();
    for waiting in [2, 3, 10, 1000, times(100_000)] {
        circle_through(waiting);
    }
}

#[test]
fn a_circle_through_waiting_and_running_tasks_is_refused_once() {
    let _pool = alone();
    for round in 0..times(100) {
        let (tells, tolds): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::channel::<Handle<bool>>()).unzip();
        let tasks: Vec<_> =
            tolds.into_iter().map(|told| run(move || told.recv().unwrap().get().is_err())).collect();
        let below: Vec<_> = tasks
            .iter()
            .map(|task| {
                let chain = (0..1 + round % 100).fold(task.clone(), |last, _| {
                    spawn((Dep::new(last.clone()), Dep::new(last)), |(a, b)| Ok(*a && *b), &SITE)
                });
                spawn(Dep::new(chain), |refused| Ok(*refused), &SITE)
            })
            .collect();
        tells[0].send(below[1].clone()).unwrap();
        tells[1].send(below[0].clone()).unwrap();
        let refused: Vec<bool> = tasks.iter().map(|task| *wait(task).unwrap()).collect();
        assert!(refused.contains(&true) && refused.contains(&false), "{refused:?}");
    }
}

/// Who went on after a refused wait hangs in no list that a later walk would follow.
#[test]
fn a_task_goes_on_after_a_refused_wait() {
    let _pool = alone();
    for _ in 0..times(20) {
        let (tell, told) = mpsc::channel::<Handle<u64>>();
        let (gate, go) = promise::<u64>(&SITE);
        let task = run(move || {
            let below = told.recv().unwrap();
            assert!(below.get().err().unwrap().is_scheduling());
            assert!(below.get().err().unwrap().is_scheduling());
            *gate.get().unwrap()
        });
        let below = (0..200).fold(task.clone(), |last, _| spawn(Dep::new(last), |value| Ok(*value), &SITE));
        tell.send(below.clone()).unwrap();
        let other = run(move || below.get().copied().unwrap());
        go.finish(Ok(7));
        assert_eq!((*wait(&task).unwrap(), *wait(&other).unwrap()), (7, 7));
    }
}

#[test]
fn walks_race_failures() {
    let _pool = together();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for round in 0..times(2000) {
        let (gate, go) = promise::<u64>(&SITE);
        let (tell, told) = mpsc::channel::<Vec<Handle<u64>>>();
        let task = run(move || {
            // Parks, and so walks all that hangs below, which is cancelled meanwhile.
            let below = told.recv().unwrap();
            let _ = gate.get();
            below.into_iter().map(|task| task.get().is_err()).fold(0, |sum, failed| sum + u64::from(failed))
        });
        let below: Vec<_> =
            (0..20).map(|_| spawn(Dep::new(task.clone()), |value| Ok(*value), &SITE)).collect();
        let further: Vec<_> =
            below.iter().map(|task| spawn(Dep::new(task.clone()), |value| Ok(*value), &SITE)).collect();
        tell.send(further).unwrap();
        below[round % 20].erase().cancel();
        below[round % 7].erase().cancel();
        go.finish(Ok(1));
        assert_eq!(wait(&task).unwrap(), &20, "what hangs below is refused or was cancelled");
    }
    std::panic::set_hook(hook);
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

/// A value that waits for a task when it is dropped, on a thread of the pool.
#[test]
fn a_destructor_may_wait_and_costs_no_processor() {
    struct Waits(Handle<u64>, mpsc::Sender<u64>);
    impl Drop for Waits {
        fn drop(&mut self) {
            self.1.send(*self.0.get().unwrap()).unwrap();
        }
    }
    // The value needs a place to be dropped that is not a task: the handle is gone before it is made.
    let _pool = other(1);
    for round in 0..times(200) as u64 {
        let (tell, told) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        drop(spawn(
            Local::new(move || {
                gone.recv().unwrap();
                Pinned(std::sync::Mutex::new(Waits(run(move || round), tell)))
            }),
            |work| Ok(work()),
            &SITE,
        ));
        go.send(()).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(round));
        assert_eq!(wait(&run(|| 1)).unwrap(), &1);
    }
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

#[test]
fn threads_whose_wakes_are_gathered_go_on_however_the_gathering_ends() {
    let _pool = together();
    for round in 0..times(300) {
        let (task, completion) = promise::<usize>(&SITE);
        let waiting = [task.clone(), task].map(|task| std::thread::spawn(move || *task.get().unwrap()));
        let wakes = Wakes::gather();
        if round % 2 == 0 {
            std::thread::yield_now();
        }
        completion.finish(Ok(round));
        match round % 3 {
            0 => wakes.wake_all(),
            1 => wakes.wake_after(Duration::ZERO),
            _ => drop(wakes),
        }
        // The first thing that would not be woken hangs here, with the gathering still there in two of three rounds.
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), round);
        }
    }
}
