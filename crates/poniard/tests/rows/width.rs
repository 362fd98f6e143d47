//! Tasks that use several threads themselves.

use crate::alone::alone;
use crate::signals::{Gate, Meeting, Peak, linger};
use poniard::prelude::*;

#[test]
fn a_task_with_k_threads_holds_k_processors() {
    alone(4, || {
        let held = Peak::default();
        let tasks: Vec<_> = (0..120)
            .map(|i| {
                let threads = [1, 3, 1, 1, 2, 4][i % 6];
                let held = held.clone();
                spawn!(move || held.while_held(threads, linger), threads = threads as u32)
            })
            .collect();
        wait_all(&tasks);
        assert!((4..=4).contains(&held.reached()), "{} of 4 processors", held.reached());
    });
}

#[test]
fn a_wide_task_and_a_narrow_one_run_side_by_side_when_they_fit() {
    alone(4, || {
        let both = Meeting::of(2);
        let (here, there) = (both.clone(), both);
        let wide = spawn!(move || here.meet(), threads = 3);
        let narrow = spawn!(move || there.meet());
        assert!(wide.fetch().unwrap().0 && narrow.fetch().unwrap().0);
    });
}

#[test]
fn a_wide_task_is_not_starved_by_narrow_ones() {
    alone(2, || {
        let gate = Gate::running();
        let wide = spawn!(|| (), threads = 2);
        let narrow: Vec<_> = (0..50).map(|_| spawn!(|| ())).collect();
        gate.open();
        wide.fetch().unwrap();
        fetch_all(&narrow).unwrap();
    });
}

#[test]
fn more_threads_than_there_are_is_an_error_that_says_so() {
    alone(2, || {
        let error = spawn!(|| 1, threads = 3).fetch().unwrap_err();
        assert!(error.is_scheduling() && error.to_string().contains("asks for 3 processors"), "{error}");
        let narrowed = spawn!(|| 1, threads = 2, scope = Scope::thread(0)).fetch().unwrap_err();
        assert!(narrowed.is_scheduling() && narrowed.to_string().contains("1 of the 2"), "{narrowed}");
        let shared = spawn!(|| 1, threads = 2, occupancy = 0.5).fetch().unwrap_err();
        assert!(shared.is_scheduling(), "{shared}");
    });
}
