//! Looking at the runtime, halting it, and starting another.

use crate::alone::{ONE_PROCESS, alone, alone_with};
use crate::signals::{Gate, LIMIT, eventually};
use poniard::prelude::*;
use poniard::{halt, status};
use std::sync::mpsc::channel;

#[test]
fn status_tells_what_waits_is_ready_runs_and_has_ended() {
    fn fails() -> i64 {
        panic!("it fails")
    }
    alone_with(1, &[ONE_PROCESS], || {
        spawn!(|| 1).wait();
        spawn!(fails()).wait();
        let gate = Gate::running();
        let ready: Vec<_> = (0..3).map(|i| spawn!((|i| i)(i))).collect();
        let waiting: Vec<_> = (0..2).map(|i| spawn!(i = i, _gate = &gate.task => i)).collect();
        let now = status();
        assert_eq!((now.running, now.ready, now.waiting), (1, 3, 2), "{now:?}");
        assert_eq!((now.done, now.failed, now.processors), (1, 1, 1), "{now:?}");
        assert_eq!(&*now.tasks[0].name, "gate");
        assert_eq!(
            (now.tasks[0].task, now.tasks[0].site.file),
            (gate.task.id(), gate.task.any().site().file)
        );
        assert!(now.tasks[0].on.is_some());
        gate.open();
        wait_all(&ready);
        wait_all(&waiting);
        eventually(|| status().running == 0);
        let after = status();
        assert_eq!((after.running, after.ready, after.waiting, after.done), (0, 0, 0, 7), "{after:?}");
    });
}

#[test]
fn a_task_that_waits_in_the_middle_is_shown_without_a_processor() {
    alone_with(1, &[ONE_PROCESS], || {
        let gate = Gate::aside();
        let gated = gate.task.clone();
        let task = spawn!(move || gated.wait(), name = "waits");
        eventually(|| status().tasks.iter().any(|task| &*task.name == "waits" && task.on.is_none()));
        gate.open();
        task.wait();
    });
}

#[test]
fn a_halt_fails_everything_that_has_not_ended_and_the_next_spawn_starts_anew() {
    alone(1, || {
        let ended = spawn!(|| 1);
        ended.wait();
        let (send, runs) = channel();
        let (seen, was_seen) = channel();
        let running = spawn!(move || {
            send.send(()).unwrap();
            while !cancelled() {
                std::thread::yield_now();
            }
            seen.send(spawn!(|| 1)).unwrap();
        });
        runs.recv_timeout(LIMIT).unwrap();
        let (queued, waiting) = (spawn!(|| 2), spawn!((|(): &()| 3)(&spawn!(|| ()))));
        let dependent = spawn!((|_: &Pinned<()>| 4)(&running));
        halt();
        assert!(queued.fetch().unwrap_err().is_halted());
        assert!(waiting.fetch().unwrap_err().is_halted());
        let error = running.fetch().unwrap_err();
        assert!(error.is_halted() && error.is_cancelled(), "{error}");
        assert!(dependent.fetch().unwrap_err().is_halted());
        let late: DTask<i32> = was_seen.recv_timeout(LIMIT).unwrap();
        assert!(late.fetch().unwrap_err().is_halted(), "what a halted task spawns does not run");
        assert_eq!(ended.fetch().unwrap(), 1);
        assert_eq!(spawn!(|| 5).fetch().unwrap(), 5);
    });
}

#[test]
fn a_halt_without_tasks_does_nothing() {
    alone(2, || {
        halt();
        assert_eq!(spawn!(|| 1).fetch().unwrap(), 1);
        halt();
        halt();
        assert_eq!(spawn!(|| 2).fetch().unwrap(), 2);
    });
}

#[test]
fn a_cluster_is_started_before_the_first_spawn_and_stops_when_it_is_dropped() {
    alone(1, || {
        let cluster = Cluster::local().threads(3).label("here").memory("1MiB").start().unwrap();
        assert!(Cluster::local().start().is_err(), "one at a time");
        assert_eq!((status().processors, cluster.workers()), (3, vec![WorkerId(1)]));
        assert!(spawn!(|| 1, scope = Scope::label("here")).fetch().is_ok());
        drop(cluster);
        let cluster = Cluster::local().threads(2).start().unwrap();
        assert_eq!((status().processors, spawn!(|| 2).fetch().unwrap()), (2, 2));
        drop(cluster);
    });
}

#[test]
fn a_setting_that_makes_no_sense_is_refused_in_words() {
    alone(1, || {
        let error = Cluster::local().threads(0).start().unwrap_err();
        assert!(error.is_scheduling() && error.to_string().contains("a cluster of 0 threads"), "{error}");
        assert!(Cluster::local().memory("much").start().unwrap_err().to_string().contains("`much`"));
    });
}

#[test]
fn every_spawn_fails_in_a_line_where_the_environment_makes_no_sense() {
    fn refused(error: TaskError) -> bool {
        let threads = std::env::var("PONIARD_THREADS").unwrap();
        let why = format!(
            "cannot start the runtime: PONIARD_THREADS is `{threads}`; set it to a number from 1 to 256, or unset it \
             to have one for each core"
        );
        assert!(error.is_scheduling() && error.root().to_string().ends_with(&why), "{error}");
        true
    }
    for threads in ["abc", "0", "-3", "257", "99999999999999999999", ""] {
        alone_with(1, &[("PONIARD_THREADS", threads)], || {
            if status().processors > 0 {
                // The process of the test's own goes through the loop too: it is done.
                return;
            }
            let lazy = lazy!((|x| x + 1)(1));
            let first = spawn!((|x| x + 1)(1));
            let dependent = spawn!((|x: &i32| x + 1)(&first), priority = 1, scope = Scope::worker(1));
            assert!(refused(first.fetch().unwrap_err()) && refused(dependent.fetch().unwrap_err()));
            dependent.wait();
            assert_eq!(wait_any(&[first, dependent]), Some(0));
            let elsewhere = std::thread::spawn(|| poniard::spawn(|x: i32| x, (1,)).fetch()).join().unwrap();
            assert!(refused(elsewhere.unwrap_err()));
            assert!(refused(sync(|| drop(spawn!(|| 1))).unwrap_err()));
            assert!(refused(spawn_bulk(|| spawn_sequential(|| spawn!(|| 1))).fetch().unwrap_err()));
            assert!(refused(as_completed([spawn!(|| 1)]).next().unwrap().fetch().unwrap_err()));
            assert!(refused(map(|x: i32| x, [1, 2]).unwrap_err()));
            assert!(refused(lazy!((|x| x + 1)(1)).collect().unwrap_err()));
            assert!(refused(Cluster::from_env().start().unwrap_err()));
            halt();
            assert_eq!(status().processors, 0);
            let cluster = Cluster::local().threads(2).start().unwrap();
            assert_eq!((spawn!(|| 1).fetch().unwrap(), lazy.collect().unwrap()), (1, 2));
            drop(cluster);
            assert_eq!(spawn!(|| 1).fetch().unwrap(), 1, "the next runtime has a thread for each core");
        });
    }
}

#[test]
fn memory_that_makes_no_sense_is_refused_by_its_variable() {
    alone_with(1, &[("PONIARD_MEMORY", "much")], || {
        let error = spawn!(|| 1).fetch().unwrap_err().to_string();
        let why = "cannot start the runtime: PONIARD_MEMORY is `much`; set it to a number of bytes, or one with KiB, MiB, \
                   GiB or TiB, or unset it to have a share of the machine's";
        assert!(error.ends_with(why), "{error}");
    });
}

#[test]
fn a_process_ends_in_order_while_tasks_run() {
    alone(2, || {
        // Nobody opens this gate, and nobody waits for it.
        std::mem::forget(Gate::running());
        drop(spawn!(|| 1));
    });
}
