//! Every value is dropped exactly once, in whichever way its task ends.

use super::*;
use crate::{AnyHandle, Arg, Code, Dep, Many, Own, Value, Wiring, hold, promise, spawn_detached};
use poniard_model::{Codec, Pinned};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicIsize, Ordering::SeqCst};

/// Counts how many of its kind are alive. As an argument it can be copied for another attempt.
pub(super) struct Counted(&'static AtomicIsize);

impl Counted {
    pub(super) fn new(alive: &'static AtomicIsize) -> Counted {
        alive.fetch_add(1, SeqCst);
        Counted(alive)
    }
}

/// It has no codec, like what is pinned.
impl Data for Counted {
    fn codec() -> Option<Codec<Counted>> {
        None
    }
    fn heap_bytes(&self) -> usize {
        0
    }
}

impl Clone for Counted {
    fn clone(&self) -> Counted {
        Counted::new(self.0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// A [`Counted`] as an argument that can be copied.
pub(super) struct Copied(std::mem::ManuallyDrop<Counted>);

impl Copied {
    pub(super) fn new(alive: &'static AtomicIsize) -> Copied {
        Copied(std::mem::ManuallyDrop::new(Counted::new(alive)))
    }
}

// SAFETY: the value moves out once; there are no edges.
unsafe impl Arg for Copied {
    type Out<'a> = Counted;
    const WAITS: bool = false;
    unsafe fn wire(_: NonNull<Self>, _: &mut Wiring) {}
    unsafe fn open<'a>(this: NonNull<Self>) -> Self::Out<'a> {
        // SAFETY: once only, by the caller's promise.
        std::mem::ManuallyDrop::into_inner(unsafe { this.read() }.0)
    }
    unsafe fn discard(this: NonNull<Self>) {
        // SAFETY: as for `open`.
        drop(unsafe { Self::open(this) });
    }
    fn spare(&self) -> Option<Self> {
        Some(Copied(self.0.clone()))
    }
    fn inputs(&self, _: &mut dyn FnMut(&crate::TaskRef)) {}
    fn parts(&self, visit: &mut dyn FnMut(crate::Part)) {
        visit(crate::Part::Opaque);
    }
}

pub(super) fn none_left(alive: &'static AtomicIsize) {
    until("every value is dropped once", || alive.load(SeqCst) == 0);
}

/// A task that counts its argument and its result.
fn task(alive: &'static AtomicIsize) -> Handle<Counted> {
    spawn(Value::new(Pinned(Counted::new(alive))), |counted| Ok(counted.0), &SITE)
}

#[test]
fn results_and_arguments_of_tasks_that_end_well() {
    static ALIVE: AtomicIsize = AtomicIsize::new(0);
    let _pool = together();
    for _ in 0..times(200) {
        let first = task(&ALIVE);
        let second = spawn((Dep::new(first.clone()), Own::new(task(&ALIVE))), |(_, own)| Ok(own), &SITE);
        let third = spawn(Many::new([first, second]), |all| Ok(all[0].clone()), &SITE);
        third.get().unwrap();
        drop(task(&ALIVE));
    }
    none_left(&ALIVE);
}

#[test]
fn the_last_handle_moves_the_value_and_an_earlier_one_copies_it() {
    static ALIVE: AtomicIsize = AtomicIsize::new(0);
    static MOVED: AtomicIsize = AtomicIsize::new(0);
    let _pool = alone();
    let (gate, go) = promise::<()>(&SITE);
    let source = spawn(
        (Dep::new(gate), Value::new(Pinned(Counted::new(&ALIVE)))),
        |(_, counted)| Ok(counted.0),
        &SITE,
    );
    let own = spawn(
        Own::new(source),
        |own| {
            MOVED.store(ALIVE.load(SeqCst), SeqCst);
            Ok(own)
        },
        &SITE,
    );
    go.finish(Ok(()));
    wait(&own).unwrap();
    assert_eq!(MOVED.load(SeqCst), 1, "the only reference moves its value");
    let copy = spawn(Own::new(own.clone()), |own| Ok(own), &SITE);
    wait(&copy).unwrap();
    assert_eq!(ALIVE.load(SeqCst), 2, "a value that others see is copied");
    drop((own, copy));
    none_left(&ALIVE);
}

#[test]
fn a_result_is_dropped_with_its_last_handle_whatever_else_was_asked() {
    static ALIVE: AtomicIsize = AtomicIsize::new(0);
    let _pool = together();
    let slow = limited(Duration::from_secs(86_400));
    let limited = run_with(slow, || Counted::new(&ALIVE));
    let (promised, completion) = promise::<Counted>(&SITE);
    completion.finish(Ok(Counted::new(&ALIVE)));
    wait(&limited).unwrap();
    promised.get().unwrap();
    drop((limited, promised));
    none_left(&ALIVE);
}

#[test]
fn tasks_that_fail_are_cancelled_or_never_launched() {
    static ALIVE: AtomicIsize = AtomicIsize::new(0);
    let _pool = together();
    for _ in 0..times(200) {
        let (gate, go) = promise::<u64>(&SITE);
        let bad = failing();
        let argument = || Value::new(Pinned(Counted::new(&ALIVE)));
        let late =
            spawn((argument(), Dep::new(bad), Dep::new(gate.clone())), |(counted, ..)| Ok(counted.0), &SITE);
        let waiting = spawn((argument(), Dep::new(gate.clone())), |(counted, _)| Ok(counted.0), &SITE);
        let waiting_for_it =
            spawn((argument(), Dep::new(waiting.clone())), |(counted, _)| Ok(counted.0), &SITE);
        waiting.erase().cancel();
        assert!(waiting_for_it.get().err().unwrap().is_cancelled());
        let (held_handle, held) = hold((argument(), Dep::new(gate)), |(counted, _)| Ok(counted.0), &SITE);
        drop(held);
        assert!(held_handle.get().err().unwrap().is_cancelled());
        let panics = spawn(argument(), |_| -> Result<Counted, Cause> { panic!("on purpose") }, &SITE);
        assert!(panics.get().err().unwrap().is_panic());
        assert!(late.get().is_err());
        go.finish(Ok(1));
    }
    none_left(&ALIVE);
}

#[test]
fn copies_for_further_attempts_used_or_not() {
    static ALIVE: AtomicIsize = AtomicIsize::new(0);
    static ATTEMPTS: AtomicIsize = AtomicIsize::new(0);
    let _pool = together();
    let extra = |retries: u32| asking(|extra| extra.retries = Some(retries.into()));
    let well = spawn_with(Copied::new(&ALIVE), |counted| Ok(counted), &SITE, extra(3));
    well.get().unwrap();
    fn body(counted: Counted) -> Result<Counted, Cause> {
        if ATTEMPTS.fetch_add(1, SeqCst) < 2 { Err(refused()) } else { Ok(counted) }
    }
    let third = spawn_with(Copied::new(&ALIVE), |value| body(value), &SITE, extra(3));
    third.get().unwrap();
    let never =
        spawn_with((Copied::new(&ALIVE), Value::new(1u64)), |_| Err::<(), _>(refused()), &SITE, extra(2));
    assert!(never.get().is_err());
    // A part that cannot be copied: the copies of the others go.
    let once =
        spawn_with((Copied::new(&ALIVE), Local::new(|| ())), |(counted, _)| Ok(counted), &SITE, extra(2));
    once.get().unwrap();
    drop((well, third, never, once));
    none_left(&ALIVE);
}

#[test]
fn arguments_after_one_whose_copy_panics() {
    static ALIVE: AtomicIsize = AtomicIsize::new(0);
    /// Cannot be copied.
    struct Single(#[expect(dead_code, reason = "is counted")] Counted);
    impl Clone for Single {
        fn clone(&self) -> Single {
            panic!("on purpose")
        }
    }
    let _pool = together();
    let counted = || Value::new(Pinned(Counted::new(&ALIVE)));
    let single = run(|| Pinned(Single(Counted::new(&ALIVE))));
    single.get().unwrap();
    let code = Single(Counted::new(&ALIVE));
    let function = Code::new(move || _ = &code);
    let own = || Own::new(single.clone());
    let tasks = [
        spawn((counted(), own(), counted(), counted()), |_| Ok(()), &SITE),
        spawn(((own(), counted()), (counted(), counted())), |_| Ok(()), &SITE),
        spawn((function, (counted(),)), |_| Ok(()), &SITE),
        spawn_detached((own(), counted()), |mut opened, _| drop(opened.open()), &SITE, Extra::default()),
    ];
    assert!(tasks.iter().all(|task| error_of(task).is_panic()));
    drop((tasks, single));
    none_left(&ALIVE);
}

#[test]
fn a_panic_in_a_results_destructor_harms_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    let _pool = together();
    for _ in 0..times(100) {
        let bomb = run(|| Pinned(Bomb));
        bomb.get().unwrap();
        drop(bomb);
        let argument = spawn(Value::new(Pinned(Bomb)), |bomb| Ok(drop(bomb)), &SITE);
        assert!(argument.get().err().unwrap().is_panic());
        let (gate, _) = promise::<u64>(&SITE);
        let unused = spawn((Value::new(Pinned(Bomb)), Dep::new(gate)), |_| Ok(()), &SITE);
        assert!(unused.get().is_err());
    }
    assert_eq!(run(|| 1).get().unwrap(), &1);
}

#[test]
fn a_long_sequence_holds_and_frees_its_tasks_one_by_one() {
    static ALIVE: AtomicIsize = AtomicIsize::new(0);
    let _pool = together();
    let mut last: Option<AnyHandle> = None;
    for _ in 0..times(100_000) {
        let mut extra = Extra::default();
        extra.after(&last);
        last = Some(run_with(extra, || Counted::new(&ALIVE)).erase());
    }
    let last = last.unwrap();
    last.wait().unwrap();
    until("only the last result is held", || ALIVE.load(SeqCst) == 1);
    drop(last);
    none_left(&ALIVE);
}
