//! Going to sleep against new tasks: work that nobody looks for is never left with a processor free.
//!
//! A thread that takes a task here blocks for ever, as one that waits for another task outside the pool's knowledge may. So
//! at the end each task must have been taken, or a called thread is on its way to look, or no processor was left.

use super::*;
use crate::bell::Bell;
use crate::fences;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering::AcqRel, Ordering::Relaxed, Ordering::Release};
use loom::thread;

struct Pool {
    bell: Bell,
    /// Tasks that lie in deques.
    tasks: AtomicU32,
    /// Threads that were called and have not looked yet.
    called: AtomicU32,
}

impl Pool {
    /// With `searching` threads that search, on as many of the processors.
    fn new(processors: usize, searching: u32) -> Arc<Pool> {
        let pool = Pool { bell: Bell::new(processors), tasks: AtomicU32::new(0), called: AtomicU32::new(0) };
        for processor in 0..searching {
            assert!(pool.bell.take(processor));
            pool.bell.search(processor);
        }
        Arc::new(pool)
    }

    fn has_work(&self) -> bool {
        self.tasks.load(Relaxed) != 0
    }

    fn take(&self) -> bool {
        self.tasks.fetch_update(AcqRel, Relaxed, |tasks| tasks.checked_sub(1)).is_ok()
    }

    /// `Engine::queue`.
    fn push(&self) {
        self.tasks.fetch_add(1, Release);
        if self.bell.needs_call() {
            self.summon();
        }
    }

    fn summon(&self) {
        let any = self.has_work();
        if self.bell.call(|_| any).is_some() {
            self.called.fetch_add(1, Relaxed);
        }
    }

    /// `Engine::call_if_work`.
    fn call_if_work(&self) {
        fences::heavy();
        if self.bell.needs_call() && self.has_work() {
            self.summon();
        }
    }

    /// `worker::serve`, until it takes a task or sleeps.
    fn search(&self, processor: u32) {
        loop {
            if !self.has_work() {
                self.bell.give_up(processor);
                return self.call_if_work();
            }
            if !self.bell.found(processor) {
                return self.call_if_work();
            }
            if self.take() {
                return self.call_if_work();
            }
            self.bell.search(processor);
        }
    }

    /// What must hold when everybody sleeps or blocks.
    fn nothing_lies_alone(&self) {
        self.bell.check();
        let free = (0..self.bell.len()).any(|processor| self.bell.take(processor));
        let called = self.called.load(Relaxed) != 0;
        assert!(!self.has_work() || called || !free, "a task lies alone beside a free processor");
    }
}

fn game(preemptions: usize, processors: usize, searching: u32, others: &'static [fn(&Pool)]) {
    play_bounded(preemptions, move || {
        let pool = Pool::new(processors, searching);
        let others: Vec<_> = others
            .iter()
            .map(|other| {
                let pool = pool.clone();
                thread::spawn(move || other(&pool))
            })
            .collect();
        (0..searching).for_each(|processor| pool.search(processor));
        others.into_iter().for_each(|other| other.join().unwrap());
        pool.nothing_lies_alone();
    });
}

#[test]
fn a_push_against_the_last_searcher() {
    game(3, 1, 1, &[Pool::push]);
}

#[test]
fn two_pushes_against_the_last_searcher_with_a_processor_free() {
    game(
        3,
        2,
        1,
        &[|pool| {
            pool.push();
            pool.push();
        }],
    );
}

#[test]
fn two_pushers_against_the_last_searcher_with_a_processor_free() {
    game(3, 2, 1, &[Pool::push, Pool::push]);
}

#[test]
fn a_push_against_two_searchers() {
    game(
        2,
        2,
        1,
        &[Pool::push, |pool| {
            if pool.bell.take(1) {
                pool.bell.search(1);
                pool.search(1);
            }
        }],
    );
}

#[test]
fn a_push_against_a_searcher_that_loses_its_processor() {
    game(
        3,
        1,
        1,
        &[Pool::push, |pool| {
            // The program's thread takes the processor, finds nothing, and lets it go.
            if pool.bell.take(0) {
                if !pool.take() {
                    pool.bell.release(0);
                    pool.call_if_work();
                }
            }
        }],
    );
}

#[test]
fn a_push_against_the_release_of_the_last_processor() {
    play(|| {
        let pool = Pool::new(1, 0);
        assert!(pool.bell.take(0));
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.push())
        };
        pool.bell.release(0);
        pool.call_if_work();
        other.join().unwrap();
        pool.nothing_lies_alone();
    });
}

#[test]
fn a_push_against_a_call_that_finds_no_thread() {
    play_bounded(3, || {
        let pool = Pool::new(2, 0);
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.push())
        };
        if let Some(called) = pool.bell.call(|processor| processor == 0) {
            pool.bell.call_off(called);
            pool.call_if_work();
        }
        other.join().unwrap();
        pool.nothing_lies_alone();
    });
}
