//! Recording what happened.

use crate::alone::{ONE_PROCESS, alone, alone_with};
use poniard::prelude::*;
use poniard::trace::{Event, Outcome, record};

fn add(a: &i64, b: &i64) -> i64 {
    a + b
}

#[test]
fn a_recording_has_the_life_of_every_task_and_its_inputs() {
    fn fails(_: &i64) -> i64 {
        panic!("it fails")
    }
    alone_with(2, &[ONE_PROCESS], || {
        let ((p, q, r), recorded) = record(|| {
            let p = spawn!((|x| x)(1));
            let q = spawn!(add(&p, &p));
            let r = spawn!(fails(&q));
            r.wait();
            (p, q, r)
        })
        .unwrap();
        let events: Vec<Event> = recorded.events.iter().map(|record| record.event).collect();
        let spawned = |task: &DTask<i64>| {
            events.iter().any(|event| matches!(event, Event::Spawned { task: id, site } if *id == task.id() && site.file == file!()))
        };
        let started = |task: &DTask<i64>| {
            events.iter().filter(|event| matches!(event, Event::Started { task: id, on } if *id == task.id() && on.is_some())).count()
        };
        for task in [&p, &q, &r] {
            assert!(spawned(task), "{events:?}");
            assert_eq!(started(task), 1, "{events:?}");
        }
        let has = |event: Event| assert!(events.contains(&event), "{event:?} in {events:?}");
        has(Event::Input { task: q.id(), of: p.id() });
        has(Event::Input { task: r.id(), of: q.id() });
        has(Event::Finished { task: p.id(), outcome: Outcome::Done });
        has(Event::Finished { task: r.id(), outcome: Outcome::Failed });
        assert!(recorded.events.is_sorted_by_key(|record| record.at));
        assert_eq!(recorded.lost, 0);
    });
}

#[test]
fn another_attempt_is_recorded() {
    fn fails() -> i64 {
        panic!("it fails")
    }
    alone(1, || {
        let (task, recorded) = record(|| {
            let task = spawn!(fails(), retries = 2);
            task.wait();
            task
        })
        .unwrap();
        let attempts: Vec<u32> = recorded
            .events
            .iter()
            .filter_map(|record| match record.event {
                Event::Retried { task: id, attempt } if id == task.id() => Some(attempt),
                _ => None,
            })
            .collect();
        assert_eq!(attempts, [1, 2]);
    });
}

#[test]
fn there_is_one_recording_at_a_time_and_none_by_itself() {
    alone(1, || {
        spawn!(|| 1).wait();
        let (inner, outer) = record(|| record(|| ()).is_err()).unwrap();
        assert!(inner && outer.events.is_empty(), "{outer:?}");
        assert!(record(|| ()).is_ok());
    });
}
