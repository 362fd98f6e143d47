//! Threads: tasks that keep them for long leave enough of them to all others, and past their limit nothing but them.

use super::*;
use crate::crew::{BESIDE_MAX, Crew, THREADS_MAX};
use crate::{Demand, WHOLE, promise, status};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};

/// More bodies than there may be threads.
const CROWD: usize = THREADS_MAX + 20;

/// Keeps whoever comes until it is opened, without the runtime's knowledge.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    /// How many have come, and how many have gone.
    came: AtomicUsize,
    went: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        self.came.fetch_add(1, SeqCst);
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
        self.went.fetch_add(1, SeqCst);
    }
}

/// Opens the gate when the test ends, however it does.
struct Opens(Arc<Gate>);

impl Opens {
    fn open(&self) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.opened.notify_all();
    }
}

impl Drop for Opens {
    fn drop(&mut self) {
        self.open();
    }
}

fn gate() -> Opens {
    Opens(Arc::default())
}

/// `number` tasks that ask for `extra` and stop at the gate.
fn crowd(number: usize, gate: &Opens, extra: impl Fn() -> Extra) -> Vec<Handle<()>> {
    let one = |_| {
        let gate = gate.0.clone();
        run_with(extra(), move || gate.pass())
    };
    (0..number).map(one).collect()
}

fn beside() -> Extra {
    asking(|extra| extra.demand = Demand { share: 0, ..Demand::default() })
}

#[test]
fn blocked_tasks_beside_the_processors_leave_threads_to_the_others() {
    let _pool = other(2);
    let gate = gate();
    let blocked = crowd(times(2 * THREADS_MAX), &gate, beside);
    assert_eq!(wait(&run(|| 1)).unwrap(), &1, "one that runs");
    let (awaited, go) = promise(&SITE);
    let waits = run(move || *awaited.get().unwrap());
    run(move || go.finish(Ok(2)));
    assert_eq!(wait(&waits).unwrap(), &2, "one that waits in the middle");
    until("all have come", || gate.0.came.load(SeqCst) == times(2 * THREADS_MAX));
    gate.open();
    blocked.iter().for_each(|task| *wait(task).unwrap());
    until("most of the threads have ended", || status().threads <= 100);
}

#[test]
fn each_kind_of_threads_has_its_number() {
    let crew = Crew::new(2);
    assert!((1..THREADS_MAX).all(|_| crew.begin_wait()) && !crew.begin_wait());
    assert!((0..BESIDE_MAX).all(|_| crew.begin_beside()) && !crew.begin_beside());
    crew.end_wait();
    crew.end_beside();
    assert!(crew.begin_wait() && crew.begin_beside());
}

#[test]
fn tasks_beside_the_processors_that_wait_make_room_for_others() {
    let _pool = other(1);
    let (gathered, go) = promise::<()>(&SITE);
    let number = times(THREADS_MAX / 2 + 100);
    let waiting = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..number)
        .map(|_| {
            let (gathered, waiting) = (gathered.clone(), waiting.clone());
            run_with(beside(), move || {
                waiting.fetch_add(1, SeqCst);
                gathered.get().is_ok()
            })
        })
        .collect();
    until("all of them wait", || waiting.load(SeqCst) == number);
    go.finish(Ok(()));
    assert!(tasks.iter().all(|task| *wait(task).unwrap()));
}

#[test]
fn bodies_past_their_limit_use_up_no_threads() {
    let _pool = other(32);
    let gate = gate();
    let deaf = crowd(times(CROWD), &gate, || limited(Duration::from_millis(5)));
    assert!(deaf.iter().all(|task| error_of(task).is_timeout()));
    until("all have begun, and are stuck", || gate.0.came.load(SeqCst) == times(CROWD));
    assert_eq!(wait(&run(|| 1)).unwrap(), &1);
    gate.open();
    until("all have returned", || gate.0.went.load(SeqCst) == times(CROWD));
    until("there are no more threads than may be", || status().threads <= THREADS_MAX);
    assert_eq!(wait(&run(|| 1)).unwrap(), &1);
}

/// What a task asks for that will ignore its limit.
fn deaf_of(demand: Demand) -> Extra {
    let mut extra = limited(Duration::from_millis(5));
    extra.demand = demand;
    extra
}

/// A task that ignores its limit asks for `demand`; then `next` must find room.
fn another_starts_beyond_the_limit(processors: usize, demand: Demand, next: Demand) {
    let _pool = other(processors);
    let gate = gate();
    let of = |demand: Demand| asking(|extra| extra.demand = demand);
    let deaf = crowd(1, &gate, || deaf_of(demand.clone()));
    assert!(error_of(&deaf[0]).is_timeout());
    until("the body has begun", || gate.0.came.load(SeqCst) == 1);
    for _ in 0..2 {
        wait(&run_with(of(next.clone()), || ())).unwrap();
    }
    assert_eq!(gate.0.went.load(SeqCst), 0, "the first one blocks all the time");
    gate.open();
    until("it has returned", || gate.0.went.load(SeqCst) == 1);
    // Nothing is given back once more.
    wait(&run_with(of(demand), || ())).unwrap();
}

#[test]
fn a_body_past_its_limit_gives_its_share_back() {
    let half = Demand { share: 500, ..Demand::default() };
    another_starts_beyond_the_limit(1, half.clone(), Demand { share: 600, ..half.clone() });
    another_starts_beyond_the_limit(1, half.clone(), Demand { share: WHOLE, ..half });
}

#[test]
fn a_body_past_its_limit_gives_all_its_processors_back() {
    let wide = Demand { width: 2, ..Demand::default() };
    another_starts_beyond_the_limit(2, wide.clone(), wide);
}

#[test]
fn a_body_past_its_limit_gives_its_memory_back() {
    let all = Demand { memory: MEMORY, ..Demand::default() };
    another_starts_beyond_the_limit(2, all.clone(), all);
}

#[test]
fn bodies_past_their_limit_leave_room_beside_the_processors() {
    let _pool = other(1);
    let gate = gate();
    let deaf = crowd(times(CROWD), &gate, || deaf_of(Demand { share: 0, ..Demand::default() }));
    assert!(deaf.iter().all(|task| error_of(task).is_timeout()));
    assert_eq!(wait(&run_with(beside(), || 1)).unwrap(), &1);
    gate.open();
    until("all have returned", || gate.0.went.load(SeqCst) == times(CROWD));
}

#[test]
fn a_pool_that_stops_does_not_wait_for_bodies_past_their_limit() {
    let _pool = other(1);
    let gate = gate();
    let deaf = crowd(3, &gate, || limited(Duration::from_millis(5)));
    assert!(deaf.iter().all(|task| error_of(task).is_timeout()));
    let begun = Instant::now();
    stop(PATIENCE, || ());
    assert!(begun.elapsed() < PATIENCE);
    gate.open();
    until("all have returned", || gate.0.went.load(SeqCst) == 3);
}

#[test]
fn waits_past_a_limit_keep_no_others_from_waiting() {
    let _pool = other(2);
    let (never, keep) = promise::<()>(&SITE);
    let stuck: Vec<_> = (0..times(CROWD))
        .map(|_| {
            let never = never.clone();
            run_with(limited(Duration::from_millis(5)), move || never.get().is_ok())
        })
        .collect();
    stuck.iter().for_each(|task| drop(wait(task)));
    let (awaited, go) = promise(&SITE);
    let waits = run(move || *awaited.get().unwrap());
    run(move || go.finish(Ok(7)));
    assert_eq!(wait(&waits).unwrap(), &7);
    keep.finish(Ok(()));
}

#[test]
fn a_body_past_its_limit_gets_no_processor_after_a_wait() {
    let _pool = other(1);
    let gate = gate();
    let (awaited, go) = promise::<()>(&SITE);
    let inside = gate.0.clone();
    let deaf = run_with(limited(Duration::from_millis(5)), move || {
        let ended = awaited.get().is_ok();
        inside.pass();
        ended
    });
    assert!(error_of(&deaf).is_timeout());
    go.finish(Ok(()));
    until("the body goes on", || gate.0.came.load(SeqCst) == 1);
    assert_eq!(wait(&run(|| 1)).unwrap(), &1);
}
