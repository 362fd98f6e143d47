//! Data of another process: tasks that use them go there, one after the other or together, and what stands for them here is given back.

use super::away::{THERE, There, host};
use super::*;
use crate::travel::{
    Border, DatumStranger, DatumTraveller, Ender, Origin, Whereabouts, forget_strangers, lose_data,
};
use crate::{Datum, Read, Value, Write};
use poniard_model::codec::Thing;
use poniard_model::{Retries, Scope, TaskId, WorkerId};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

type List = Datum<Vec<u64>>;

/// The data of the other process, by their numbers.
static HOMES: Mutex<BTreeMap<u64, Thing>> = Mutex::new(BTreeMap::new());

/// What a datum is that has come home.
pub(super) fn at_home(datum: &Thing) -> Thing {
    let lives = datum.downcast_ref::<DatumTraveller>().expect("a datum goes home").lives();
    let Whereabouts::There(origin) = lives else { panic!("it lives here") };
    HOMES.lock().unwrap_or_else(PoisonError::into_inner)[&origin.task.0].clone()
}

/// Counts the handles that are gone.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Border for Counter {
    fn wants(&self, _: Origin, _: Ender) {
        panic!("a datum has no result");
    }

    fn dropped(&self, _: Origin) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// One of the other process, and what has come of it here.
fn one_there(border: &Arc<Counter>) -> (List, DatumStranger) {
    let real: List = Datum::new(Vec::new(), None);
    let traveller = real.traveller();
    let Whereabouts::Here(task) = traveller.lives() else { panic!("it was made here") };
    HOMES.lock().unwrap_or_else(PoisonError::into_inner).insert(task.0, Arc::new(traveller));
    (real, DatumStranger::new(Origin { owner: THERE, task }, border.clone()))
}

fn there_only() -> Extra {
    let mut extra = Extra::default();
    extra.elsewhere = Some(Scope::worker(THERE));
    extra
}

fn push(list: &List, x: u64) -> Handle<()> {
    let arguments = (Write::to(list.clone()), Value::new(x));
    spawn_with(arguments, |(list, x)| Ok(list.push(x)), &SITE, there_only())
}

fn sum(list: &List) -> Handle<u64> {
    spawn_with((Read::to(list.clone()),), |(list,)| Ok(list.iter().sum()), &SITE, there_only())
}

#[test]
fn tasks_go_to_a_datum_in_the_order_of_their_spawns() {
    let there = There::new();
    let border = Arc::new(Counter::default());
    let (real, stranger) = one_there(&border);
    let list: List = stranger.meet(None).unwrap();
    assert_eq!(list.home_elsewhere(), Some(THERE));
    assert_eq!(real.traveller().lives(), real.traveller().lives(), "its number stays");
    let (_, _, before) = (push(&list, 1), push(&list, 2), [sum(&list), sum(&list)]);
    let (last, after) = (push(&list, 4), sum(&list));
    let first = there.next();
    assert!(there.arrivals.try_recv().is_err(), "the others wait for its end");
    host(first);
    there.run();
    let readers = [there.next(), there.next()];
    assert!(there.arrivals.try_recv().is_err(), "who reads is there with others, who changes it is not");
    readers.into_iter().for_each(host);
    assert_eq!(before.map(|sum| *sum.get().unwrap()), [3, 3]);
    there.run();
    there.run();
    assert_eq!((last.get().unwrap(), *after.get().unwrap()), (&(), 7));
    assert_eq!(real.read(&SITE, Vec::clone).unwrap(), [1, 2, 4]);
}

#[test]
fn a_datum_that_comes_again_is_the_same_until_its_last_handle_is_gone() {
    let _there = There::new();
    let border = Arc::new(Counter::default());
    let (_real, first) = one_there(&border);
    let again = DatumStranger::new(first.origin(), border.clone());
    let (one, two): (List, List) = (first.meet(None).unwrap(), again.meet(None).unwrap());
    assert!(one.is_same(&two));
    assert!(first.meet::<String>(None).is_none(), "of its own type only");
    drop((first, again));
    assert_eq!(border.0.load(SeqCst), 1, "one of the two handles was not needed");
    let traveller = one.traveller();
    drop((one, two));
    assert_eq!(border.0.load(SeqCst), 1, "it is on its way, and stays");
    let Whereabouts::There(origin) = traveller.lives() else { panic!("it lives there") };
    drop(traveller);
    assert_eq!(border.0.load(SeqCst), 2);
    let later: List = DatumStranger::new(origin, border.clone()).meet(None).unwrap();
    drop(later);
    assert_eq!(border.0.load(SeqCst), 3);
}

#[test]
fn a_datum_that_is_lost_is_the_error_of_who_needs_it() {
    let there = There::new();
    let border = Arc::new(Counter::default());
    let origin = Origin { owner: WorkerId(9), task: TaskId(1) };
    let list: List = DatumStranger::new(origin, border.clone()).meet(None).unwrap();
    let (before, waits) = (push(&list, 1), push(&list, 2));
    let away = there.next();
    lose_data(WorkerId(9), "it was killed by signal 9");
    let after = push(&list, 3);
    let error = after.get().unwrap_err();
    assert!(error.is_state_lost() && error.is_worker_lost(), "{error}");
    assert!(error.to_string().contains("lost with w9: it was killed by signal 9"), "{error}");
    away.fail_for_good(WorkerId(9), Cause::state_lost(WorkerId(9), "it is gone"));
    there.next().fail_for_good(WorkerId(9), Cause::state_lost(WorkerId(9), "it is gone"));
    assert!(before.get().unwrap_err().is_state_lost() && waits.get().unwrap_err().is_state_lost());
    assert_eq!(list.users(), 0);
    // One that comes by somebody who does not know it yet.
    let other = Origin { task: TaskId(2), ..origin };
    let late: List = DatumStranger::new(other, border).meet(None).unwrap();
    assert!(late.error().is_some_and(TaskError::is_state_lost));
    assert!(
        matches!(late.traveller().lives(), Whereabouts::Here(_)),
        "it goes on as one that has failed here"
    );
    forget_strangers();
}

#[test]
fn a_datum_of_another_process_is_not_used_here() {
    let _there = There::new();
    let (_real, stranger) = one_there(&Arc::default());
    let list: List = stranger.meet(None).unwrap();
    let here = spawn(Read::to(list.clone()), |list| Ok(list.len()), &SITE);
    let error = here.get().unwrap_err();
    assert!(error.to_string().contains("a mutable that lives on w2, and runs here"), "{error}");
    let error = list.read(&SITE, Vec::len).unwrap_err();
    assert!(error.is_scheduling() && error.to_string().contains("lives on w2"), "{error}");
    let own: List = Datum::new(Vec::new(), None);
    let error = push(&own, 1).get().unwrap_err();
    assert!(error.to_string().contains("a mutable that lives here among its arguments"), "{error}");
}

#[test]
fn attempts_and_their_time_are_left_to_the_home_of_the_data() {
    let there = There::new();
    let (_real, stranger) = one_there(&Arc::default());
    let list: List = stranger.meet(None).unwrap();
    let mut extra = there_only();
    extra.retries = Some(Retries::new(3));
    extra.timeout = Some(Duration::from_millis(1));
    let task: Handle<()> = spawn_with((Write::to(list.clone()),), |(_,)| Ok(()), &SITE, extra);
    let away = there.next();
    assert!(away.is_tried_there());
    // Its time is not taken here: it would be over in no time.
    let later = crate::promise::<()>(&SITE);
    crate::timer::after(Duration::from_millis(20), Box::new(move || later.1.finish(Ok(()))));
    later.0.get().unwrap();
    assert!(!task.is_ended());
    away.fail(THERE, Cause::returned("no luck".into()));
    let error = task.get().unwrap_err();
    assert!(error.to_string().contains("no luck"), "{error}");
    assert!(there.arrivals.try_recv().is_err(), "and it is not sent once more");
}
