//! The order in which tasks use a value that they change in place.

use crate::alone::alone;
use crate::signals::{Gate, LIMIT, Meeting, Notes, Peak, eventually, linger};
use poniard::prelude::*;
use std::sync::mpsc::channel;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(30);

fn push(list: &mut Vec<u32>, x: u32) {
    list.push(x);
}

fn sum(list: &[u32]) -> u32 {
    list.iter().sum()
}

#[test]
fn writers_and_readers_take_turns_in_the_order_of_their_spawns() {
    for threads in [1, 2, 4] {
        alone(threads, || {
            let mut m = mutable!(Vec::new());
            let sums: Vec<_> = (0..500u32)
                .map(|i| {
                    spawn!(push(&mut m, i));
                    [spawn!(sum(&m)), spawn!(sum(&m), priority = 5)]
                })
                .collect();
            for (i, pair) in sums.iter().enumerate() {
                let expected = (i * (i + 1) / 2) as u32;
                assert_eq!(fetch_all(pair).unwrap(), [expected, expected]);
            }
            assert_eq!(m.fetch().unwrap(), (0..500).collect::<Vec<_>>());
        });
    }
}

#[test]
fn a_writer_is_alone_and_readers_are_together() {
    alone(3, || {
        fn change(count: &mut u32, peak: &Pinned<Peak>) {
            peak.while_held(1, linger);
            *count += 1;
        }
        fn read(_: &u32, meeting: &Pinned<Meeting>) -> bool {
            meeting.meet()
        }
        let (mut m, peak, meeting) = (mutable!(0), Peak::default(), Meeting::of(3));
        let shown = spawn!(move || peak.clone());
        (0..300).for_each(|_| drop(spawn!(change(&mut m, &shown))));
        let met = spawn!(move || meeting.clone());
        let readers: Vec<_> = (0..3).map(|_| spawn!(read(&m, &met))).collect();
        assert_eq!(fetch_all(&readers).unwrap(), [true; 3], "they run at the same time");
        assert_eq!(m.fetch().unwrap(), 300);
        assert_eq!(shown.fetch_ref().unwrap().reached(), 1);
    });
}

#[test]
fn no_thread_waits_for_a_turn() {
    alone(1, || {
        let mut m = mutable!(vec![0u32]);
        let gate = Gate::aside();
        let held = spawn!((|_: &Pinned<()>, list: &mut Vec<u32>| list.push(1))(&gate.task, &mut m));
        let waiting: Vec<_> = (0..10_000).map(|i| spawn!(push(&mut m, i))).collect();
        assert_eq!(spawn!(|| 1).fetch().unwrap(), 1, "the only processor is free");
        assert!(poniard::status().threads < 8);
        assert!(!held.is_ready() && waiting.iter().all(|task| !task.is_ready()));
        gate.open();
        wait_all(&waiting);
        assert_eq!(m.with(Vec::len).unwrap(), 10_002);
    });
}

#[test]
fn how_a_task_ends_makes_no_difference_to_those_behind_it() {
    fn fails(list: &mut Vec<u32>) -> Result<(), String> {
        list.push(100);
        Err("half done".to_owned())
    }
    fn panics(list: &mut Vec<u32>) {
        list.push(200);
        panic!("half done");
    }
    alone(2, || {
        let mut m = mutable!(vec![]);
        let gate = Gate::aside();
        let first = spawn!((|_: &Pinned<()>, list: &mut Vec<u32>| list.push(1))(&gate.task, &mut m));
        let failed = spawn!(fails(&mut m)?);
        let cancelled = spawn!(push(&mut m, 300));
        let panicked = spawn!(panics(&mut m));
        let no_input = spawn!(push(&mut m, spawn!((|| -> u32 { panic!("no input") })())));
        let last = spawn!(push(&mut m, 2));
        cancelled.cancel();
        assert!(cancelled.is_ready(), "a task that waits for its turn is cancelled at once");
        assert!(!last.is_ready(), "and those behind it keep waiting for those before it");
        gate.open();
        wait_all(&[first, last]);
        assert!(failed.fetch().is_err() && panicked.fetch().is_err() && no_input.fetch().is_err());
        assert_eq!(m.fetch().unwrap(), [1, 100, 200, 2]);
    });
}

#[test]
fn many_cancelled_turns_pass_on_in_constant_stack() {
    alone(1, || {
        let mut m = mutable!(0u64);
        let gate = Gate::aside();
        spawn!((|_: &Pinned<()>, count: &mut u64| *count += 1)(&gate.task, &mut m));
        let tasks: Vec<_> = (0..200_000).map(|_| spawn!((|count: &mut u64| *count += 10)(&mut m))).collect();
        let last = spawn!((|count: &mut u64| *count += 100)(&mut m));
        tasks.iter().for_each(DTask::cancel);
        gate.open();
        last.fetch().unwrap();
        assert_eq!(m.fetch().unwrap(), 101);
    });
}

#[test]
fn a_retried_task_keeps_its_turn_and_finds_what_its_attempts_have_left() {
    fn third_time(list: &mut Vec<u32>) -> Result<usize, String> {
        list.push(0);
        if list.len() < 3 { Err("not yet".to_owned()) } else { Ok(list.len()) }
    }
    alone(2, || {
        let mut m = mutable!(vec![]);
        let task = spawn!(third_time(&mut m)?, retries = Retries::new(5).backoff(Duration::from_millis(5)));
        let next = spawn!(push(&mut m, 7));
        assert_eq!(task.fetch().unwrap(), 3);
        next.fetch().unwrap();
        assert_eq!(m.fetch().unwrap(), [0, 0, 0, 7], "nobody came between the attempts");
        // What cannot be copied gets no second attempt, and keeps no turn.
        let once = Pinned(1);
        fn fails(_: Pinned<i32>, _: &mut Vec<u32>) -> Result<(), String> {
            Err("once".to_owned())
        }
        let uncopied = spawn!(fails(once, &mut m)?, retries = Retries::new(3));
        let after = spawn!(push(&mut m, 8));
        assert!(uncopied.fetch().is_err());
        after.fetch().unwrap();
    });
}

/// A writer that has outlived its time limit or its halt, and goes on until the sender is dropped.
macro_rules! zombie {
    ($m:ident, $notes:ident $(, $option:ident = $value:expr)?) => {{
        let ((started, runs), (end, ended)) = (channel(), channel::<()>());
        let notes = $notes.clone();
        let task = spawn!(move list = &mut $m => {
            started.send(()).unwrap();
            let _ = ended.recv_timeout(LIMIT);
            list.push(1);
            notes.note("zombie");
        } $(, $option = $value)?);
        runs.recv_timeout(LIMIT).unwrap();
        (task, end)
    }};
}

#[test]
fn a_function_that_outlives_its_time_limit_keeps_its_turn() {
    alone(2, || {
        let (mut m, notes) = (mutable!(vec![0u32]), Notes::default());
        let (task, end) = zombie!(m, notes, timeout = SHORT);
        let next = spawn!(push(&mut m, 2));
        eventually(|| task.is_ready());
        assert!(task.fetch_ref().unwrap_err().is_timeout());
        // Others run, and it does not.
        assert_eq!(spawn!(|| 1).fetch().unwrap(), 1);
        linger();
        assert!(!next.is_ready());
        drop(end);
        next.fetch().unwrap();
        assert_eq!(m.fetch().unwrap(), [0, 1, 2]);
    });
}

#[test]
fn a_function_that_outlives_a_halt_keeps_its_turn() {
    alone(2, || {
        let (mut m, notes) = (mutable!(vec![0u32]), Notes::default());
        let (task, end) = zombie!(m, notes);
        let halted = spawn!(push(&mut m, 9));
        poniard::halt();
        let later = spawn!(push(&mut m, 2));
        linger();
        assert!(!later.is_ready());
        drop(end);
        later.fetch().unwrap();
        assert!(task.fetch_ref().unwrap_err().is_halted() && halted.fetch().unwrap_err().is_halted());
        assert_eq!(m.fetch().unwrap(), [0, 1, 2]);
    });
}

#[test]
fn the_same_mutable_twice_in_a_call_is_an_error_at_fetch() {
    fn both(_: &mut u32, _: &mut u32) {}
    fn mixed(_: &u32, _: &mut u32) {}
    fn reads(x: &u32, y: &u32) -> bool {
        std::ptr::eq(x, y)
    }
    alone(1, || {
        let (mut m, mut other) = (mutable!(1u32), mutable!(2u32));
        let mut clone = m.clone();
        let error = spawn!(both(&mut m, &mut clone)).fetch().unwrap_err();
        assert!(error.is_scheduling() && error.to_string().contains("the same mutable twice"), "{error}");
        assert!(spawn!(mixed(&m.clone(), &mut m)).fetch().unwrap_err().is_scheduling());
        assert!(spawn!(reads(&m, &m)).fetch().unwrap());
        assert!(spawn!(reads(&m, &clone), retries = Retries::new(1)).fetch().unwrap());
        spawn!(both(&mut m, &mut other)).fetch().unwrap();
        assert_eq!(m.fetch().unwrap(), 1, "the refused tasks hold nothing");
    });
}

#[test]
fn tasks_with_several_mutables_do_not_lock_each_other_out() {
    fn swap(x: &mut u64, y: &mut u64) {
        std::mem::swap(x, y);
    }
    alone(4, || {
        let all: Vec<Mutable<u64>> = (0..4).map(|i| mutable!(i)).collect();
        let spawners: Vec<_> = (0..4usize)
            .map(|me| {
                let all = all.clone();
                spawn!(move || for i in 0..500 {
                    let (mut x, mut y) = (all[(me + i) % 4].clone(), all[(me + i + 1 + me % 2) % 4].clone());
                    spawn!(swap(&mut x, &mut y));
                })
            })
            .collect();
        wait_all(&spawners);
        let mut left: Vec<u64> = all.iter().map(|m| m.fetch().unwrap()).collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1, 2, 3]);
    });
}

#[test]
fn to_wait_inside_for_a_later_turn_is_an_error() {
    fn inner(count: &mut u32, mut handle: Mutable<u32>) -> bool {
        *count += 1;
        let later = spawn!((|count: &mut u32| *count += 10)(&mut handle));
        later.fetch().is_err_and(|error| error.is_scheduling())
    }
    fn reader(_: &u32, handle: Mutable<u32>) -> bool {
        handle.fetch().is_err_and(|error| error.is_scheduling())
    }
    alone(2, || {
        let mut m = mutable!(0u32);
        assert!(spawn!(inner(&mut m, m.clone())).fetch().unwrap());
        assert_eq!(m.fetch().unwrap(), 11, "the inner one ran afterwards");
        // A reader may wait for another reader, but not when a writer stands between them.
        assert!(!spawn!(reader(&m, m.clone())).fetch().unwrap());
        let (go, gone) = channel::<()>();
        let between = spawn!(move count = &m, handle = m.clone() => {
            gone.recv_timeout(LIMIT).unwrap();
            reader(count, handle)
        });
        spawn!((|count: &mut u32| *count += 100)(&mut m));
        go.send(()).unwrap();
        assert!(between.fetch().unwrap().0);
        assert_eq!(m.fetch().unwrap(), 111);
    });
}

#[test]
fn a_circle_through_turns_and_inputs_is_an_error() {
    alone(2, || {
        let (mut m, other) = (mutable!(0u32), mutable!(0u32));
        let (go, gone) = channel::<()>();
        // It waits for its own turn's successor, through another mutable and an input.
        let last = spawn!(move x = &mut m, handle = other.clone() => {
            gone.recv_timeout(LIMIT).unwrap();
            *x += 1;
            handle.fetch().is_err_and(|error| error.is_scheduling())
        });
        let mut behind = other.clone();
        let input = spawn!((|x: &u32| *x)(&m));
        spawn!((|x: &u32, y: &mut u32| *y = *x)(&input, &mut behind));
        go.send(()).unwrap();
        assert!(last.fetch().unwrap().0);
        assert_eq!(other.fetch().unwrap(), 1);
    });
}

#[test]
fn a_lazy_task_takes_its_turn_when_it_is_launched() {
    alone(1, || {
        let mut m = mutable!(vec![]);
        let first = lazy!(push(&mut m, 1));
        let second = lazy!((|_: &(), list: &mut Vec<u32>| list.push(2))(&first, &mut m));
        spawn!(push(&mut m, 0));
        second.collect().unwrap();
        assert_eq!(m.fetch().unwrap(), [0, 1, 2]);
        // Held back, and its dependent is launched: its turn would come after that of who waits for it.
        let late = lazy!(push(&mut m, 3));
        let early = spawn(|_: &(), _: &mut Vec<u32>| (), (&late, &mut m));
        let error = late.collect().unwrap_err();
        assert!(error.is_scheduling() && error.to_string().contains("launch it before"), "{error}");
        assert!(early.fetch().is_err());
        spawn!(push(&mut m, 4)).fetch().unwrap();
        assert_eq!(m.fetch().unwrap(), [0, 1, 2, 4]);
    });
}

#[test]
fn regions_order_turns_as_they_order_tasks() {
    alone(2, || {
        let mut m = mutable!(vec![]);
        spawn_bulk(|| (0..10).for_each(|i| drop(spawn!(push(&mut m, i)))));
        spawn_sequential(|| (10..20).for_each(|i| drop(spawn!(push(&mut m, i)))));
        sync(|| (20..30).for_each(|i| drop(spawn!(push(&mut m, i))))).unwrap();
        let options = Options::new().priority(1).name("pushed");
        with_options(options, || (30..40).for_each(|i| drop(spawn!(push(&mut m, i), timeout = LIMIT))));
        spawn_with(Options::new(), push, (&mut m, 40));
        assert_eq!(m.fetch().unwrap(), (0..=40).collect::<Vec<_>>());
        assert_eq!(spawn(|list: &Vec<u32>| list.len(), (&m,)).fetch().unwrap(), 41);
    });
}

#[cfg(feature = "async")]
#[test]
fn a_future_keeps_its_turn_until_it_ends() {
    async fn slowly(list: &mut Vec<u32>, x: u32) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        list.push(x);
    }
    alone(1, || {
        let mut m = mutable!(vec![]);
        for i in 0..20 {
            spawn!(async slowly(&mut m, 2 * i));
            spawn!(push(&mut m, 2 * i + 1));
        }
        let pending = spawn!(async slowly(&mut m, 40), timeout = LIMIT, retries = Retries::new(1));
        pending.fetch().unwrap();
        assert_eq!(m.fetch().unwrap(), (0..=40).collect::<Vec<_>>());
    });
}

#[test]
fn a_long_sequence_of_turns_keeps_nothing_of_those_that_are_over() {
    alone(1, || {
        struct Counted(std::sync::Arc<()>);
        let all = std::sync::Arc::new(());
        let mut m = mutable!(0u64);
        for _ in 0..1000 {
            let mine = Counted(all.clone());
            spawn!(move count = &mut m => {
                let _mine = &mine.0;
                *count += 1;
            });
            drop(spawn!((|count: &u64| *count)(&m)));
        }
        assert_eq!(m.fetch().unwrap(), 1000);
        // Each task is gone as soon as it has ended: the last may still be on its way.
        eventually(|| std::sync::Arc::strong_count(&all) == 1);
    });
}
