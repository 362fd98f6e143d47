//! Tasks that run in another process, which here is a thread of this one that gets no more than bytes.

use super::*;
use crate::travel::{Away, Carrier, Outcome, Parcel, Piece, Reply, Unmovable, Visit, set_carrier};
use crate::{AnyHandle, Code, Dep, Many, Own, Value, image, promise};
use poniard_model::codec::Encoded;
use poniard_model::{Retries, Scope, TaskId, WorkerId};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicIsize, AtomicU32, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};

/// The other process.
pub(super) const THERE: WorkerId = WorkerId(2);

/// Sends tasks to whoever plays the other process.
struct Wire(Mutex<Option<Sender<Away>>>);

impl Carrier for Wire {
    fn carry(&self, away: Away) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        sender.expect("a test is at work").send(away).expect("it takes what is carried");
    }

    fn idle(&self, processors: u32) {
        IDLE.store(processors, SeqCst);
    }

    fn have_work(&self) {
        WORK.fetch_add(1, SeqCst);
    }
}

static IDLE: AtomicU32 = AtomicU32::new(0);
static WORK: AtomicU32 = AtomicU32::new(0);

/// The other process, for one test at a time.
pub(super) struct There {
    pub(super) arrivals: Receiver<Away>,
    _alone: RwLockWriteGuard<'static, ()>,
}

impl There {
    pub(super) fn new() -> There {
        static WIRE: OnceLock<&'static Wire> = OnceLock::new();
        let wire = WIRE.get_or_init(|| Box::leak(Box::new(Wire(Mutex::new(None)))));
        set_carrier(*wire);
        let alone = alone();
        let (sender, arrivals) = channel();
        *wire.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        There { arrivals, _alone: alone }
    }

    pub(super) fn next(&self) -> Away {
        self.arrivals.recv_timeout(PATIENCE).expect("a task is carried here")
    }

    /// Runs the next task, and tells of its end.
    pub(super) fn run(&self) {
        host(self.next());
    }
}

/// A value that has gone over a wire.
fn again(encoded: &Encoded) -> Encoded {
    assert!(encoded.buffers().is_empty(), "small values only");
    Encoded::from_parts(encoded.head().to_vec(), Vec::new())
}

/// Runs a task as another process does, and ends it here.
pub(super) fn host(mut away: Away) {
    let parcel = away.take_parcel();
    host_parcel(away, parcel);
}

fn host_parcel(away: Away, parcel: Parcel) {
    let arrived = |piece: &Piece| match piece {
        Piece::Value(value) => Piece::Value(again(value)),
        Piece::Count(count) => Piece::Count(*count),
        Piece::Datum(datum) => Piece::Datum(homes::at_home(datum)),
        Piece::Result { .. } | Piece::Here(_) | Piece::Absent(_) => unreachable!("nothing large is there"),
    };
    let pieces: VecDeque<Piece> = parcel.pieces.iter().map(arrived).collect();
    let away = Arc::new(Mutex::new(Some(away)));
    let ended = away.clone();
    let reply = move |_: Duration, outcome: Outcome| {
        let away = ended.lock().unwrap().take().expect("told once");
        match outcome {
            Outcome::Made(value) => away.finish(&again(&value)),
            Outcome::Stays(why) => away.fail(THERE, Cause::scheduling(why)),
            Outcome::Failed(error) => away.fail(THERE, Cause::returned(error.into())),
        }
    };
    if let Err(unmovable) = arrive(&parcel, pieces, Box::new(reply)) {
        let away = away.lock().unwrap().take().expect("it was not told");
        away.fail(THERE, Cause::scheduling(unmovable.to_string()));
    }
}

/// Launches a task as another process does that has got its parcel, with these pieces instead of those in it.
pub(super) fn arrive(parcel: &Parcel, pieces: VecDeque<Piece>, reply: Reply) -> Result<AnyHandle, Unmovable> {
    let entry = image::code_offset(parcel.entry.address()).unwrap();
    let body = image::code_offset(parcel.body).unwrap();
    let site = image::site_offset(parcel.site).unwrap();
    // SAFETY: the offset comes from a site of this executable.
    let site = unsafe { image::site_at(site) }.unwrap();
    let body = image::code_at(body).unwrap();
    let (task, extra) = (TaskId(1), Extra::default());
    let visit = Visit { task, body, site, extra, pieces, reply };
    // SAFETY: all of it was in one parcel, which this process has packed.
    unsafe { crate::travel::host(image::code_at(entry).unwrap(), visit) }
}

static LETTERS: AtomicIsize = AtomicIsize::new(0);

/// Counts how many of its kind are alive.
#[derive(serde::Serialize)]
struct Letter(u8);

impl Letter {
    fn new() -> Letter {
        LETTERS.fetch_add(1, SeqCst);
        Letter(7)
    }
}

impl<'de> serde::Deserialize<'de> for Letter {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Letter, D::Error> {
        u8::deserialize(from).map(|_| Letter::new())
    }
}

impl Drop for Letter {
    fn drop(&mut self) {
        LETTERS.fetch_sub(1, SeqCst);
    }
}

pub(super) fn elsewhere() -> Extra {
    let mut extra = Extra::default();
    extra.elsewhere = Some(Scope::worker(2));
    extra
}

fn double(x: i64) -> Handle<i64> {
    spawn_with((Value::new(x),), |(x,)| Ok(2 * x), &SITE, elsewhere())
}

#[test]
fn a_task_runs_there_and_its_result_comes_home() {
    let there = There::new();
    let task = double(4);
    let away = there.next();
    assert!(!task.is_ended(), "nothing runs it here");
    assert_eq!((away.scope().unwrap().to_string(), away.attempt()), ("worker 2".to_owned(), 1));
    host(away);
    assert_eq!(task.get().unwrap(), &8);
}

#[test]
fn every_kind_of_argument_arrives() {
    let there = There::new();
    let text = spawn(Value::new("a".to_owned()), |text| Ok(text), &SITE);
    let numbers = [1_u64, 2, 3].map(|number| spawn(Value::new(number), |number| Ok(number), &SITE));
    let arguments =
        (Value::new((1_u8, "b".to_owned())), Dep::new(text.clone()), Own::new(text), Many::new(numbers));
    let task = spawn_with(
        arguments,
        |((one, b), a, own, numbers)| Ok(format!("{one}{b}{a}{own}{}", numbers.iter().copied().sum::<u64>())),
        &SITE,
        elsewhere(),
    );
    there.run();
    assert_eq!(task.get().unwrap(), "1baa6");
}

#[test]
fn it_leaves_when_its_inputs_are_there_and_who_waits_for_it_goes_on() {
    let there = There::new();
    let (input, completion) = promise::<i64>(&SITE);
    let task = spawn_with((Dep::new(input),), |(x,)| Ok(x + 1), &SITE, elsewhere());
    let next = spawn((Dep::new(task.clone()),), |(x,)| Ok(x + 1), &SITE);
    assert!(there.arrivals.try_recv().is_err(), "its input has not ended");
    completion.finish(Ok(1));
    there.run();
    assert_eq!(next.get().unwrap(), &3);
}

#[test]
fn a_failure_there_is_a_failure_here_and_names_the_worker() {
    let there = There::new();
    let task: Handle<i64> =
        spawn_with((Value::new(1_i64),), |(_,)| panic!("no such number"), &SITE, elsewhere());
    let next = spawn((Dep::new(task.clone()),), |(x,)| Ok(x + 1), &SITE);
    there.run();
    let error = task.get().unwrap_err();
    assert!(error.is_panic(), "{error}");
    assert_eq!(error.task().unwrap().worker, THERE);
    assert!(next.get().unwrap_err().to_string().contains("no such number"));
}

#[test]
fn what_cannot_leave_fails_and_says_why() {
    let there = There::new();
    let captures = 3;
    let local = spawn_with((Local::new(move || captures),), |(f,)| Ok(f()), &SITE, elsewhere());
    let function = spawn_with((Code::new(move || captures),), |(f,)| Ok(f()), &SITE, elsewhere());
    let pinned = spawn((), |()| Ok(poniard_model::Pinned(3)), &SITE);
    let pinned = spawn_with((Dep::new(pinned),), |(three,)| Ok(three.0), &SITE, elsewhere());
    let whole = "cannot go to scope `worker 2`: a closure with captures among its arguments exists in this process only";
    for (task, why) in [
        (local, whole),
        (function, "a function that holds values"),
        (pinned, "a `poniard_model::value::Pinned<i32>`"),
    ] {
        let error = task.get().unwrap_err();
        assert!(error.is_scheduling());
        assert!(error.to_string().contains(why), "{error}");
    }
    let result = spawn_with((), |()| Ok(poniard_model::Pinned(3)), &SITE, elsewhere());
    assert!(result.get().unwrap_err().to_string().contains("its result is pinned"));
    drop(there);
}

#[test]
fn a_function_that_holds_no_values_goes_with_the_call() {
    let there = There::new();
    fn twice(x: i64) -> i64 {
        2 * x
    }
    let named: Handle<i64> =
        spawn_with((Code::new(twice), Value::new(4)), |(f, x)| Ok(f(x)), &SITE, elsewhere());
    there.run();
    let closure: Handle<i64> =
        spawn_with((Code::new(|| 5), Value::new(4)), |(f, x): (_, i64)| Ok(f() + x), &SITE, elsewhere());
    there.run();
    assert_eq!((*named.get().unwrap(), *closure.get().unwrap()), (8, 9));
}

#[test]
fn bytes_that_are_no_arguments_of_the_task_are_an_error() {
    let there = There::new();
    for bytes in [&[][..], &[1, 2], &[0xff; 20]] {
        let task = double(4);
        let mut away = there.next();
        let parcel = away.take_parcel();
        let pieces = VecDeque::from([Piece::Value(Encoded::from_parts(bytes.to_vec(), Vec::new()))]);
        let reply = Box::new(|_, _| unreachable!("nothing was launched"));
        let (site, extra) = (parcel.site, Extra::default());
        let visit = Visit { task: TaskId(1), body: parcel.body, site, extra, pieces, reply };
        // SAFETY: the addresses are those of the parcel, and no arguments come of the bytes.
        let refused = unsafe { crate::travel::host(parcel.entry.address(), visit) }.unwrap_err();
        away.fail(THERE, Cause::scheduling(refused.to_string()));
        assert!(task.get().unwrap_err().to_string().contains("`i64`"), "{refused}");
    }
}

#[test]
fn a_task_whose_process_is_lost_goes_away_again() {
    let there = There::new();
    let input = spawn(Value::new(20_i64), |twenty| Ok(twenty), &SITE);
    let task = spawn_with((Dep::new(input), Value::new(1)), |(x, one)| Ok(x + one), &SITE, elsewhere());
    for attempt in 1..4 {
        let away = there.next();
        assert_eq!(away.attempt(), attempt);
        away.again();
    }
    there.run();
    assert_eq!(task.get().unwrap(), &21);
}

/// Waits until the other threads have dropped what they had.
fn no_letter_is_left() {
    let begin = Instant::now();
    while LETTERS.load(SeqCst) != 0 {
        assert!(begin.elapsed() < PATIENCE, "{} are left", LETTERS.load(SeqCst));
        std::thread::yield_now();
    }
}

#[test]
fn arguments_are_dropped_once_here_and_once_there_however_the_task_ends() {
    let there = There::new();
    let send = || {
        let input = spawn((), |()| Ok(Letter::new()), &SITE);
        let arguments = (Value::new(Letter::new()), Dep::new(input), Value::new(3_u8));
        spawn_with(arguments, |(letter, other, _)| Ok(Letter(letter.0 + other.0 - 7)), &SITE, elsewhere())
    };
    let ends: [fn(Away); 6] = [
        host,
        |away| away.fail(THERE, Cause::scheduling("planned")),
        drop,
        |mut away| {
            drop(away.take_parcel());
            away.handle().cancel();
        },
        |mut away| away.take_parcel().pieces.truncate(1),
        |mut away| {
            // A part is missing at the end: what was read before it is dropped.
            let mut parcel = away.take_parcel();
            parcel.pieces.pop();
            host_parcel(away, parcel);
        },
    ];
    for end in ends {
        let task = send();
        end(there.next());
        LETTERS.fetch_add(isize::from(task.get().is_ok()), SeqCst);
        drop(task);
        no_letter_is_left();
    }
}

#[test]
fn retries_run_it_there_again() {
    let there = There::new();
    let mut extra = elsewhere();
    extra.retries = Some(Retries::new(2));
    let task = spawn_with((Value::new(4_i64),), |(x,)| Ok(2 * x), &SITE, extra);
    for attempt in 1..3 {
        let away = there.next();
        assert_eq!(away.attempt(), attempt);
        away.fail(THERE, Cause::returned("planned".into()));
    }
    there.run();
    assert_eq!(task.get().unwrap(), &8);
    let mut extra = elsewhere();
    extra.retries = Some(Retries::new(1));
    let task = spawn_with((Value::new(4_i64),), |(x,)| Ok(2 * x), &SITE, extra);
    there.next().fail(THERE, Cause::returned("planned".into()));
    there.next().fail(THERE, Cause::returned("planned".into()));
    let error = task.get().unwrap_err();
    assert_eq!((error.task().unwrap().attempt, error.task().unwrap().worker), (2, THERE));
}

#[test]
fn a_cancelled_task_ends_at_once_and_its_late_result_is_dropped() {
    let there = There::new();
    let task = double(4);
    let away = there.next();
    let (stop, stopped) = channel();
    away.handle().on_abort(move || stop.send(()).unwrap());
    task.erase().cancel();
    assert!(task.get().unwrap_err().is_cancelled());
    stopped.recv_timeout(PATIENCE).expect("whoever runs it is told");
    assert!(away.is_over());
    away.finish(&Encoded::from_parts(vec![16], Vec::new()));
    assert!(task.get().unwrap_err().is_cancelled());
    // Lost after it was cancelled: nobody carries it again.
    let task = double(5);
    let away = there.next();
    task.erase().cancel();
    away.again();
    assert!(there.arrivals.try_recv().is_err());
}

#[test]
fn a_time_limit_holds_there_too() {
    let there = There::new();
    let mut extra = elsewhere();
    extra.timeout = Some(Duration::from_millis(1));
    let task = spawn_with((Value::new(4_i64),), |(x,)| Ok(x), &SITE, extra);
    let away = there.next();
    assert!(task.get().unwrap_err().is_timeout());
    host(away);
    assert!(task.get().unwrap_err().is_timeout());
}

#[test]
fn a_halt_ends_what_is_away() {
    let there = There::new();
    let task = double(4);
    let away = there.next();
    crate::halt();
    assert!(task.get().unwrap_err().is_halted());
    assert!(away.is_over());
    drop(away);
}

#[test]
fn a_carrier_that_drops_a_task_makes_it_fail() {
    let there = There::new();
    let task = double(4);
    drop(there.next());
    assert!(task.get().unwrap_err().to_string().contains("dropped"));
}

/// Keeps both processors busy until it is dropped.
struct Busy(Vec<(Sender<()>, Handle<()>)>);

impl Busy {
    fn new() -> Busy {
        let task = || {
            let (open, opened) = channel::<()>();
            let (begun, begins) = channel();
            let body = move || {
                begun.send(()).unwrap();
                let _ = opened.recv();
            };
            let task = spawn(Local::new(body), |body| Ok(body()), &SITE);
            begins.recv_timeout(PATIENCE).unwrap();
            (open, task)
        };
        Busy((0..PROCESSORS).map(|_| task()).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for (open, task) in self.0.drain(..) {
            drop(open);
            task.erase().wait().unwrap();
        }
    }
}

#[test]
fn ready_tasks_are_lent_the_oldest_first_and_come_home() {
    let _there = There::new();
    let busy = Busy::new();
    let tasks: Vec<Handle<i64>> =
        (0..10_i64).map(|number| spawn((Value::new(number),), |(x,)| Ok(x + 100), &SITE)).collect();
    assert_eq!(crate::travel::ready(), 10);
    let taken = crate::travel::take(|ready| ready / 2, 1);
    let ids = |handles: &[AnyHandle]| handles.iter().map(AnyHandle::id).collect::<Vec<_>>();
    let lent: Vec<AnyHandle> = taken.iter().map(Away::handle).collect();
    let oldest: Vec<AnyHandle> = tasks[..5].iter().map(Handle::erase).collect();
    assert_eq!(ids(&lent), ids(&oldest));
    assert!(taken.iter().all(|away| away.scope().is_none() && away.attempt() == 1));
    let mut taken = taken.into_iter();
    // One is run there, one is not sent, one's process is lost, one fails there, one is dropped.
    host(taken.next().unwrap());
    taken.next().unwrap().stay();
    taken.next().unwrap().again();
    taken.next().unwrap().fail(THERE, Cause::returned("planned".into()));
    drop(taken);
    drop(busy);
    for (number, task) in (0..).zip(&tasks) {
        match number {
            3 => assert_eq!(task.get().unwrap_err().task().unwrap().worker, THERE),
            4 => assert!(task.get().unwrap_err().is_cancelled()),
            _ => assert_eq!(task.get().unwrap(), &(number + 100)),
        }
    }
}

#[test]
fn of_those_whose_large_results_nobody_has_seen_one_goes_for_each_idle_processor() {
    static UNSEEN: Site = Site::new("unseen", file!(), line!());
    let _there = There::new();
    let busy = Busy::new();
    let tasks: Vec<Handle<Vec<u64>>> =
        (0..10_u64).map(|number| spawn((Value::new(number),), |(x,)| Ok(vec![x]), &UNSEEN)).collect();
    let small = spawn((Value::new(5_i64),), |(x,)| Ok(x), &SITE);
    let taken = crate::travel::take(|ready| ready, 2);
    assert_eq!(taken.len(), 3, "two of them, and the small one");
    assert!(taken.iter().any(|away| away.handle().id() == small.id()));
    taken.into_iter().for_each(Away::stay);
    drop(busy);
    for (number, task) in (0..).zip(&tasks) {
        assert_eq!(task.get().unwrap(), &[number]);
    }
    assert_eq!(small.get().unwrap(), &5);
}

#[test]
fn what_cannot_leave_is_not_lent_and_runs_here() {
    let _there = There::new();
    let busy = Busy::new();
    let three = 3;
    let captures = spawn(Local::new(move || three), |three| Ok(three()), &SITE);
    let function = spawn((Code::new(move || three + 1),), |(four,)| Ok(four()), &SITE);
    let plain = spawn(Value::new(5), |five| Ok(five), &SITE);
    for _ in 0..3 {
        let taken = crate::travel::take(|_| 10, 1);
        assert_eq!(taken.iter().map(|away| away.handle().id()).collect::<Vec<_>>(), [plain.id()]);
        taken.into_iter().for_each(Away::stay);
    }
    drop(busy);
    let values = [captures, function, plain].map(|task| *task.get().unwrap());
    assert_eq!(values, [3, 4, 5]);
}

#[test]
fn a_processor_is_told_idle_that_a_waiting_task_has_let_go_of() {
    let there = There::new();
    let elsewhere = double(1);
    let (go, wait_for_go) = channel();
    let handle = elsewhere.clone();
    let waits = run(move || {
        wait_for_go.recv().unwrap();
        *handle.get().unwrap()
    });
    until("one processor is told to be idle", || IDLE.load(SeqCst) == PROCESSORS as u32 - 1);
    go.send(()).unwrap();
    until("both are", || IDLE.load(SeqCst) == PROCESSORS as u32);
    there.run();
    assert_eq!(wait(&waits).unwrap(), wait(&elsewhere).unwrap());
}

#[test]
fn who_wants_work_is_told_once_and_idle_processors_are_told() {
    let there = There::new();
    assert_eq!(spawn(Value::new(1), |one| Ok(one), &SITE).get().unwrap(), &1);
    let begin = Instant::now();
    while IDLE.load(SeqCst) != PROCESSORS as u32 {
        assert!(begin.elapsed() < PATIENCE, "{}", IDLE.load(SeqCst));
        std::thread::yield_now();
    }
    let busy = Busy::new();
    assert_eq!(IDLE.load(SeqCst), 0, "they have work again");
    let before = WORK.load(SeqCst);
    crate::travel::want_work(true);
    assert_eq!(WORK.load(SeqCst), before, "there is none");
    let tasks: Vec<Handle<i32>> = (0..3).map(|x| spawn(Value::new(x), |x| Ok(x), &SITE)).collect();
    assert_eq!(WORK.load(SeqCst), before + 1, "told once");
    crate::travel::want_work(true);
    assert_eq!(WORK.load(SeqCst), before + 2, "it is there already");
    crate::travel::want_work(false);
    drop(busy);
    tasks.iter().for_each(|task| assert!(task.get().is_ok()));
    drop(there);
}
