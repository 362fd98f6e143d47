//! Waits that could never end are errors.

use crate::alone::alone;
use crate::signals::{LIMIT, Meeting};
use poniard::prelude::*;
use std::sync::mpsc::channel;

/// A task's handle, handed to a task that runs already.
type Handed = DTask<Pinned<bool>>;

/// Whether to fetch `task` here is refused.
fn is_refused(task: &Handed) -> bool {
    task.fetch_ref().is_err_and(|error| error.is_scheduling())
}

#[test]
fn a_task_that_waits_for_itself_is_told_so() {
    alone(1, || {
        let (send, handed) = channel::<Handed>();
        let task = spawn!(move || is_refused(&handed.recv_timeout(LIMIT).unwrap()));
        send.send(task.clone()).unwrap();
        assert!(task.fetch().unwrap().0);
        assert_eq!(spawn!(|| 1).fetch().unwrap(), 1);
    });
}

#[test]
fn to_wait_for_itself_without_fetch_is_a_panic_of_the_task() {
    alone(1, || {
        let (send, handed) = channel::<DTask<Pinned<()>>>();
        let task = spawn!(move || handed.recv_timeout(LIMIT).unwrap().wait());
        send.send(task.clone()).unwrap();
        let error = task.fetch().unwrap_err();
        assert!(error.is_panic() && error.to_string().contains("waited for by itself"), "{error}");
    });
}

#[test]
fn tasks_that_wait_for_each_other_are_told_so() {
    alone(2, || {
        for members in [2, 3] {
            let all = Meeting::of(members);
            let (senders, tasks): (Vec<_>, Vec<_>) = (0..members)
                .map(|_| {
                    let (send, handed) = channel::<Handed>();
                    let all = all.clone();
                    let work = move || {
                        let next = handed.recv_timeout(LIMIT).unwrap();
                        all.meet() && is_refused(&next)
                    };
                    (send, spawn!(move || work(), occupancy = 0))
                })
                .unzip();
            for (place, send) in senders.iter().enumerate() {
                send.send(tasks[(place + 1) % members].clone()).unwrap();
            }
            let refused = tasks.iter().filter(|task| task.fetch().unwrap().0).count();
            assert_eq!(refused, 1, "one of them closes the circle, the others get its answer");
        }
    });
}

#[test]
fn a_task_that_waits_for_one_that_depends_on_it_is_told_so() {
    alone(1, || {
        let (send, handed) = channel::<Handed>();
        let task = spawn!(move || is_refused(&handed.recv_timeout(LIMIT).unwrap()));
        let dependent = spawn!(move x = &task => **x);
        send.send(dependent.clone()).unwrap();
        assert!(task.fetch().unwrap().0);
        assert!(dependent.fetch().unwrap().0);
    });
}

#[test]
fn a_circle_through_many_waiting_tasks_is_found() {
    alone(1, || {
        for waiting in [2, 10, 10_000] {
            let (send, handed) = channel::<Handed>();
            let task = spawn!(move || is_refused(&handed.recv_timeout(LIMIT).unwrap()));
            let last = (0..waiting).fold(task.clone(), |last, _| spawn!((|x: Pinned<bool>| x)(last)));
            send.send(last.clone()).unwrap();
            assert!(task.fetch().unwrap().0);
            assert!(last.fetch().unwrap().0);
        }
    });
}
