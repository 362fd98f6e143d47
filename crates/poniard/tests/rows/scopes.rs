//! Where tasks run.

use crate::alone::{alone, alone_with};
use poniard::ProcessorId;
use poniard::prelude::*;
use std::collections::BTreeSet;

/// The number of the processor that runs this.
fn here() -> u32 {
    current_processor().expect("a task has a processor").index
}

/// Where 200 tasks with this scope ran.
fn places(scope: &Scope) -> Vec<u32> {
    let tasks: Vec<_> = (0..200).map(|_| spawn!(here(), scope = scope.clone())).collect();
    let found: BTreeSet<u32> = fetch_all(&tasks).unwrap().into_iter().collect();
    found.into_iter().collect()
}

fn processor(index: u32) -> Scope {
    Scope::exact(ProcessorId { worker: WorkerId(1), index })
}

#[test]
fn a14_a_scope_that_nothing_fits_is_an_error_at_fetch_that_tells_why() {
    let task = spawn!(here(), scope = Scope::worker(99));
    let error = task.fetch().unwrap_err();
    let text = error.to_string();
    assert!(error.is_scheduling() && text.contains("`worker 99`") && text.contains("w1/cpu0"), "{text}");
    let dependent = spawn!((|x: &u32| x + 1)(&task));
    assert!(dependent.fetch().unwrap_err().is_scheduling());
    let narrowed = spawn!(here(), scope = Scope::worker(1).thread(1000)).fetch().unwrap_err().to_string();
    assert!(narrowed.contains("`thread 1000` cut the last candidates w1/cpu0"), "{narrowed}");
}

#[test]
fn b33_single_runs_the_task_on_that_worker() {
    let tasks: Vec<_> = (0..100).map(|_| spawn!(my_id(), single = 1)).collect();
    assert!(fetch_all(&tasks).unwrap().iter().all(|worker| *worker == WorkerId(1)));
    assert!(spawn!(my_id(), single = 99).fetch().unwrap_err().is_scheduling());
}

#[test]
fn single_and_scope_both_hold() {
    alone(2, || {
        assert_eq!(spawn!(here(), single = 1, scope = Scope::thread(1)).fetch().unwrap(), 1);
        assert!(spawn!(here(), single = 1, scope = Scope::worker(2)).fetch().unwrap_err().is_scheduling());
    });
}

#[test]
fn tasks_run_only_on_processors_of_their_scope() {
    alone(4, || {
        assert_eq!(places(&Scope::thread(2)), [2]);
        assert_eq!(places(&processor(3)), [3]);
        assert_eq!(places(&Scope::worker(1).thread(0)), [0]);
        assert_eq!(places(&((Scope::thread(1) | Scope::thread(3)) & !Scope::thread(3))), [1]);
        let two = places(&(Scope::thread(1) | processor(3)));
        assert!(!two.is_empty() && two.iter().all(|place| [1, 3].contains(place)), "{two:?}");
        let others = places(&!Scope::thread(0));
        assert!(!others.is_empty() && !others.contains(&0), "{others:?}");
        assert!(!places(&Scope::any()).is_empty() && !places(&Scope::workers([1, 2])).is_empty());
    });
}

#[test]
fn a_scope_of_several_processors_uses_them_all() {
    use crate::signals::{Meeting, Seen};
    alone(4, || {
        let (all, seen) = (Meeting::of(3), Seen::nothing());
        let scope = Scope::thread(0) | Scope::thread(1) | Scope::thread(3);
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let (all, seen) = (all.clone(), seen.clone());
                spawn!(
                    move || {
                        seen.add(here());
                        all.meet()
                    },
                    scope = scope.clone()
                )
            })
            .collect();
        // Not by fetch, which lends this thread's hands: the runtime alone must come to it.
        crate::signals::eventually(|| tasks.iter().all(DTask::is_ready));
        assert!(tasks.iter().all(|task| task.fetch().unwrap().0));
        assert_eq!(seen.all(), [0, 1, 3]);
    });
}

#[test]
fn labels_and_nodes_are_found() {
    alone_with(2, &[("PONIARD_LABELS", "bigmem, fast")], || {
        assert!(spawn!(here(), scope = Scope::label("bigmem") & Scope::label("fast")).fetch().is_ok());
        let error = spawn!(here(), scope = Scope::label("gpu")).fetch().unwrap_err();
        assert!(error.is_scheduling() && error.to_string().contains("labels bigmem, fast"), "{error}");
        assert!(spawn!(here(), scope = Scope::node("nowhere-at-all")).fetch().unwrap_err().is_scheduling());
    });
}

#[test]
fn a_task_with_a_scope_waits_for_its_processor_while_others_run_elsewhere() {
    use crate::signals::Gate;
    alone(2, || {
        let gate = Gate::with(Options::new().scope(Scope::thread(1)));
        let waiting = spawn!(here(), scope = Scope::thread(1));
        let free: Vec<_> = (0..50).map(|_| spawn!(here(), single = 1)).collect();
        assert!(fetch_all(&free).unwrap().iter().all(|place| *place == 0));
        assert!(!waiting.is_ready());
        gate.open();
        assert_eq!(waiting.fetch().unwrap(), 1);
    });
}

#[test]
fn outside_tasks_there_is_no_processor() {
    assert_eq!(current_processor(), None);
    assert_eq!((my_id(), workers()[0]), (WorkerId(1), WorkerId(1)));
}
