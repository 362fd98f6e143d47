//! Turns at data: alone or together, passed on however a task ends, and given back with the datum.

use super::counted::Counted;
use super::*;
use crate::{Datum, Dep, Read, Write, halt, hold, promise, spawn_detached};
use poniard_model::Retries;
use std::sync::Mutex;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst};

type List = Datum<Vec<u64>>;

fn list() -> List {
    Datum::new(Vec::new(), None)
}

fn push(list: &List, x: u64) -> Handle<()> {
    spawn((Write::to(list.clone()), crate::Value::new(x)), |(list, x)| Ok(list.push(x)), &SITE)
}

fn content(list: &List) -> Vec<u64> {
    list.read(&SITE, Vec::clone).unwrap()
}

#[test]
fn turns_come_in_the_order_of_the_spawns() {
    let _pool = together();
    let list = list();
    let count = times(1000) as u64;
    let sums: Vec<Handle<u64>> = (0..count)
        .map(|x| {
            push(&list, x);
            spawn(Read::to(list.clone()), |list| Ok(list.iter().sum()), &SITE)
        })
        .collect();
    for (x, sum) in (0..count).zip(&sums) {
        assert_eq!(*sum.get().unwrap(), x * (x + 1) / 2);
    }
    assert_eq!(content(&list), (0..count).collect::<Vec<_>>());
    assert_eq!(list.users(), 0);
}

#[test]
fn a_writer_is_alone_whatever_the_threads_do() {
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    let _pool = together();
    let data = [list(), list(), list()];
    fn body((x, y): (&mut Vec<u64>, &mut Vec<u64>)) -> Result<(), Cause> {
        std::mem::swap(x, y);
        x.push(1);
        Ok(())
    }
    let spawners: Vec<Handle<()>> = (0..3)
        .map(|first| {
            let data = data.clone();
            run(move || {
                for step in 0..times(300) {
                    let (x, y) = (&data[(first + step) % 3], &data[(first + step + 1 + step % 2) % 3]);
                    spawn((Write::to(x.clone()), Write::to(y.clone())), |both| body(both), &SITE);
                    INSIDE.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    spawners.iter().for_each(|spawner| *wait(spawner).unwrap());
    let all: usize = data.iter().map(|list| content(list).len()).sum();
    assert_eq!(all, INSIDE.load(SeqCst));
}

#[test]
fn a_turn_passes_on_however_a_task_ends() {
    let _pool = alone();
    let list = list();
    let (input, completion) = promise::<u64>(&SITE);
    let first = spawn((Dep::new(input), Write::to(list.clone())), |(x, list)| Ok(list.push(*x)), &SITE);
    let fails = spawn(Write::to(list.clone()), |_| Err::<(), _>(refused()), &SITE);
    let panics = spawn(Write::to(list.clone()), |_| -> Result<(), Cause> { std::panic::panic_any(1) }, &SITE);
    let needs_failed = spawn((Dep::new(failing()), Write::to(list.clone())), |_| Ok(()), &SITE);
    let cancelled: Vec<Handle<()>> = (0..times(10_000)).map(|_| push(&list, 9)).collect();
    let (held, dropped) = hold(Write::to(list.clone()), |list| Ok(list.push(8)), &SITE);
    let detached = spawn_detached(
        Write::to(list.clone()),
        |mut opened, completion| {
            opened.open().push(2);
            drop(opened);
            completion.finish(Ok(()));
        },
        &SITE,
        Extra::default(),
    );
    let last = push(&list, 3);
    cancelled.iter().for_each(|task| task.erase().cancel());
    drop(dropped);
    completion.finish(Ok(1));
    wait(&last).unwrap();
    assert_eq!(content(&list), [1, 2, 3]);
    assert!(
        wait(&first).is_ok() && wait(&detached).is_ok() && wait(&fails).is_err() && wait(&panics).is_err()
    );
    assert!(wait(&needs_failed).is_err() && wait(&held).is_err());
    assert!(cancelled.iter().all(|task| error_of(task).is_cancelled()));
    until("every turn is over", || list.users() == 0);
}

#[test]
fn a_body_that_is_let_go_or_halted_keeps_its_turn() {
    let _pool = alone();
    for halts in [false, true] {
        let list = list();
        let (started, runs) = channel();
        let (end, ended) = channel::<()>();
        let extra = if halts { Extra::default() } else { limited(Duration::from_millis(20)) };
        let task = spawn_with(
            (Local::new((started, ended)), Write::to(list.clone())),
            |((started, ended), list)| {
                started.send(()).unwrap();
                let _ = ended.recv();
                Ok(list.push(1))
            },
            &SITE,
            extra,
        );
        runs.recv_timeout(PATIENCE).unwrap();
        let waiting = push(&list, 2);
        if halts {
            halt();
        } else {
            assert!(error_of(&task).is_timeout());
        }
        let later = push(&list, 3);
        wait(&run(|| ())).unwrap();
        assert!(!waiting.is_ended() && !later.is_ended());
        drop(end);
        wait(&later).unwrap();
        assert_eq!(content(&list), if halts { vec![1, 3] } else { vec![1, 2, 3] });
        assert_eq!(wait(&waiting).is_err(), halts);
    }
}

#[test]
fn attempts_share_a_turn_and_the_datum_goes_with_its_last_user() {
    static ALIVE: AtomicIsize = AtomicIsize::new(0);
    static ORDER: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    let _pool = together();
    let datum = Datum::new((Counted::new(&ALIVE), 0u64), None);
    let retries = asking(|extra| extra.retries = Some(Retries::new(3).backoff(Duration::from_millis(2))));
    fn third_time((_, attempts): &mut (Counted, u64)) -> Result<(), Cause> {
        *attempts += 1;
        ORDER.lock().unwrap().push(*attempts);
        if *attempts < 3 { Err(refused()) } else { Ok(()) }
    }
    let tried = spawn_with(Write::to(datum.clone()), |counted| third_time(counted), &SITE, retries);
    let next = spawn(Write::to(datum.clone()), |_| Ok(ORDER.lock().unwrap().push(100)), &SITE);
    drop(datum);
    wait(&tried).unwrap();
    wait(&next).unwrap();
    assert_eq!(*ORDER.lock().unwrap(), [1, 2, 3, 100]);
    until("the value is dropped", || ALIVE.load(SeqCst) == 0);
}

#[test]
fn a_thread_takes_turns_and_never_waits_for_itself() {
    let _pool = together();
    let list = list();
    let inner = list.clone();
    let later = list.write(&SITE, |numbers| {
        let later = push(&inner, 2);
        assert!(later.get().is_err_and(|error| error.is_scheduling()));
        assert!(inner.read(&SITE, Vec::len).is_err_and(|error| error.is_scheduling()));
        numbers.push(1);
        later
    });
    wait(&later.unwrap()).unwrap();
    assert_eq!(content(&list), [1, 2]);
    let twice = spawn((Write::to(list.clone()), Read::to(list.clone())), |_| Ok(()), &SITE);
    assert!(error_of(&twice).is_scheduling());
    let failed = Datum::<u64>::failed(error_of(&failing()));
    assert!(error_of(&spawn(Read::to(failed.clone()), |x| Ok(*x), &SITE)).root().task().is_some());
    assert!(failed.read(&SITE, |x| *x).is_err());
}
