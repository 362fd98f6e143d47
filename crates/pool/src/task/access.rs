//! Data that tasks change in place, and the arguments that give them access.
//!
//! | argument | the function receives |
//! |---|---|
//! | [`Write<T>`] | `&mut T`, alone with it |
//! | [`Read<T>`] | `&T`, shared with other readers |
//! | [`Lent<H>`] | `&H`, a handle that is passed on as it is |
//!
//! A task enters the queues of its data when it is wired, and each of them has an edge of the task until the task's turn has
//! come. The turn belongs to the argument, not to the task: it ends when the argument is dropped, that is when the
//! function has really returned, or when it is certain that it never starts. So no failure, cancel, halt or time limit lets two
//! functions at the same datum.

use super::TaskRef;
use super::arg::{Arg, Wiring};
use super::datum::{AnyDatum, Datum, TaskTurns, leave};
use super::parcel::{Pieces, Unmovable, Unpacking};
use crate::turns::Usage;
use std::any::Any;
use std::cell::{Cell, OnceCell};
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

thread_local! {
    /// Whether this thread drops the arguments of a task whose body has returned.
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

/// Drops the arguments of a task whose body has returned: what they make ready may run next on this thread.
pub(super) fn ending(drop_arguments: impl FnOnce()) {
    let outer = ENDING.replace(true);
    drop_arguments();
    ENDING.set(outer);
}

/// Whether this thread drops the arguments of a task whose body has returned.
pub(crate) fn is_ending() -> bool {
    ENDING.get()
}

/// The argument that gives a task access to a datum: alone with it if `ALONE`.
pub struct Access<T: Send + Sync + 'static, const ALONE: bool> {
    target: Target<T>,
    /// The number of the turn, or 0 while there is none: before the task has entered, or when another argument of the task
    /// has a turn to read the same datum.
    turn: AtomicU64,
    /// The turn, where it is shared with the arguments of another attempt: it ends with the last of them.
    shared: OnceCell<Arc<Turn<T>>>,
}

/// What an access is to.
enum Target<T> {
    This(Datum<T>),
    OneOf(Arc<Choice<T>>),
}

/// A datum that is chosen before the task is launched.
struct Choice<T> {
    from: Arc<dyn Any + Send + Sync>,
    chosen: OnceLock<Datum<T>>,
}

/// Where the datum of an access lives, for those who place its task.
#[derive(Clone)]
pub struct Lives {
    place: Option<Arc<dyn Any + Send + Sync>>,
    choice: Option<Arc<dyn Choose>>,
}

/// A [`Choice`] whose type is forgotten.
trait Choose: Send + Sync {
    fn choose(&self, datum: &dyn AnyDatum);
}

impl<T: Send + Sync + 'static> Choose for Choice<T> {
    fn choose(&self, datum: &dyn AnyDatum) {
        let datum: &dyn Any = datum;
        if let Some(datum) = datum.downcast_ref::<Datum<T>>() {
            // A choice that was made stays.
            let _ = self.chosen.set(datum.clone());
        }
    }
}

impl Lives {
    /// What the datum's owner has to say of its place; or what the datum is chosen from.
    pub fn place(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.place.as_ref()
    }

    /// Chooses the datum. Nothing happens if it is no choice, was chosen before, or is of another type.
    pub fn choose(&self, datum: &dyn AnyDatum) {
        if let Some(choice) = &self.choice {
            choice.choose(datum);
        }
    }
}

/// A task's turn, from its start to its end.
struct Turn<T: Send + Sync + 'static> {
    datum: Datum<T>,
    usage: Usage,
}

impl<T: Send + Sync + 'static> Drop for Turn<T> {
    fn drop(&mut self) {
        leave(self.datum.turns(), self.usage);
    }
}

/// The function receives `&mut T`, alone with it.
pub type Write<T> = Access<T, true>;
/// The function receives `&T`, shared with other readers.
pub type Read<T> = Access<T, false>;

impl<T: Send + Sync + 'static, const ALONE: bool> Access<T, ALONE> {
    const USAGE: Usage = if ALONE { Usage::Alone } else { Usage::Shared };

    /// Access to this datum.
    #[inline]
    pub fn to(datum: Datum<T>) -> Access<T, ALONE> {
        Access { target: Target::This(datum), turn: AtomicU64::new(0), shared: OnceCell::new() }
    }

    /// Access to a datum that is chosen from these before the task is launched: see [`Lives::choose`].
    pub fn to_one_of(from: Arc<dyn Any + Send + Sync>) -> Access<T, ALONE> {
        let target = Target::OneOf(Arc::new(Choice { from, chosen: OnceLock::new() }));
        Access { target, turn: AtomicU64::new(0), shared: OnceCell::new() }
    }

    fn datum(&self) -> Option<&Datum<T>> {
        match &self.target {
            Target::This(datum) => Some(datum),
            Target::OneOf(choice) => choice.chosen.get(),
        }
    }

    fn chosen(&self) -> &Datum<T> {
        self.datum().expect("a task is launched when all its data are chosen")
    }

    fn wire(&self, wiring: &mut Wiring) {
        match self.datum() {
            None => wiring.refuse("uses a datum that was not chosen".to_owned()),
            Some(datum) => match (datum.error(), datum.home_elsewhere()) {
                (Some(error), _) => wiring.fail(error),
                (None, Some(home)) if !wiring.goes_away() => {
                    wiring.refuse(format!("uses a mutable that lives on {home}, and runs here"));
                }
                (None, _) => wiring.accesses.add(Entrance {
                    turns: NonNull::from(datum.turns()),
                    turn: NonNull::from(&self.turn),
                    usage: Self::USAGE,
                }),
            },
        }
    }

    fn again(&self) -> Access<T, ALONE> {
        let turn = self.turn.load(Ordering::Relaxed);
        let shared = if turn == 0 {
            OnceCell::new()
        } else {
            let ours = || Arc::new(Turn { datum: self.chosen().clone(), usage: Self::USAGE });
            OnceCell::from(self.shared.get_or_init(ours).clone())
        };
        Access { target: self.target.clone(), turn: AtomicU64::new(turn), shared }
    }

    fn visited(&self, visit: &mut dyn FnMut(&AccessTo<'_>)) {
        let turns = self.datum().map(Datum::turns);
        let turn = self.turn.load(Ordering::Relaxed);
        visit(&AccessTo { turns, turn, usage: Self::USAGE, place: self.place(), lives: &|| self.lives() });
    }

    fn place(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        match &self.target {
            Target::This(datum) => datum.lives(),
            Target::OneOf(choice) => Some(&choice.from),
        }
    }

    fn lives(&self) -> Lives {
        let choice = match &self.target {
            Target::This(_) => None,
            Target::OneOf(choice) => Some(choice.clone() as Arc<dyn Choose>),
        };
        Lives { place: self.place().cloned(), choice }
    }
}

impl<T: Send + Sync + 'static, const ALONE: bool> Drop for Access<T, ALONE> {
    fn drop(&mut self) {
        // With a shared turn, the last that shares it ends it.
        if *self.turn.get_mut() != 0 && self.shared.get().is_none() {
            leave(self.chosen().turns(), Self::USAGE);
        }
    }
}

// SAFETY: the value is there as long as the argument's reference to the datum. A task with this argument runs only after the
// datum's queue has given it the turn, and the turn ends with the argument.
unsafe impl<T: Send + Sync + 'static> Arg for Access<T, true> {
    type Out<'a> = &'a mut T;
    const WAITS: bool = true;
    const ACCESSES: bool = true;
    #[inline]
    unsafe fn wire(this: NonNull<Self>, wiring: &mut Wiring) {
        // SAFETY: the caller's promise.
        Self::wire(unsafe { this.as_ref() }, wiring);
    }
    #[inline]
    unsafe fn open<'a>(this: NonNull<Self>) -> &'a mut T {
        // SAFETY: the caller's promise.
        let access = unsafe { this.as_ref() };
        // SAFETY: the turn is this argument's, so nobody else uses the value while it stays in place.
        unsafe { &mut *access.chosen().place() }
    }
    unsafe fn discard(_: NonNull<Self>) {}
    fn spare(&self) -> Option<Self> {
        Some(self.again())
    }
    fn inputs(&self, _: &mut dyn FnMut(&TaskRef)) {}
    unsafe fn pack(&self, pieces: &mut Pieces) -> Result<(), Unmovable> {
        pieces.datum(self.chosen())
    }
    fn unpack(pieces: &mut Unpacking<'_>) -> Result<Self, Unmovable> {
        pieces.datum().map(Access::to)
    }
    unsafe fn accesses(this: NonNull<Self>, visit: &mut dyn FnMut(&AccessTo<'_>)) {
        // SAFETY: the caller's promise.
        unsafe { this.as_ref() }.visited(visit);
    }
}

// SAFETY: as above; the turn is shared with others that read.
unsafe impl<T: Send + Sync + 'static> Arg for Access<T, false> {
    type Out<'a> = &'a T;
    const WAITS: bool = true;
    const ACCESSES: bool = true;
    #[inline]
    unsafe fn wire(this: NonNull<Self>, wiring: &mut Wiring) {
        // SAFETY: the caller's promise.
        Self::wire(unsafe { this.as_ref() }, wiring);
    }
    #[inline]
    unsafe fn open<'a>(this: NonNull<Self>) -> &'a T {
        // SAFETY: the caller's promise.
        let access = unsafe { this.as_ref() };
        // SAFETY: the turn is this argument's, or that of another argument of the task, so nobody changes the value.
        unsafe { &*access.chosen().place() }
    }
    unsafe fn discard(_: NonNull<Self>) {}
    fn spare(&self) -> Option<Self> {
        Some(self.again())
    }
    fn inputs(&self, _: &mut dyn FnMut(&TaskRef)) {}
    unsafe fn pack(&self, pieces: &mut Pieces) -> Result<(), Unmovable> {
        pieces.datum(self.chosen())
    }
    fn unpack(pieces: &mut Unpacking<'_>) -> Result<Self, Unmovable> {
        pieces.datum().map(Access::to)
    }
    unsafe fn accesses(this: NonNull<Self>, visit: &mut dyn FnMut(&AccessTo<'_>)) {
        // SAFETY: the caller's promise.
        unsafe { this.as_ref() }.visited(visit);
    }
}

/// An access of a task, as those see it who look for circles or place the task.
pub struct AccessTo<'a> {
    pub(crate) turns: Option<&'a TaskTurns>,
    pub(crate) turn: u64,
    pub(crate) usage: Usage,
    place: Option<&'a Arc<dyn Any + Send + Sync>>,
    lives: &'a dyn Fn() -> Lives,
}

/// Visits the accesses among arguments that are in no task yet.
#[inline]
fn accesses_of<A: Arg>(arguments: &mut A, visit: &mut dyn FnMut(&AccessTo<'_>)) {
    if A::ACCESSES {
        // SAFETY: the caller lends the arguments, and nobody else touches them.
        unsafe { A::accesses(NonNull::from(arguments), visit) }
    }
}

/// Where the data live to which these arguments give access, in their order.
pub fn lives_of<A: Arg>(arguments: &mut A) -> Vec<Lives> {
    let mut all = Vec::new();
    accesses_of(arguments, &mut |access| all.push((access.lives)()));
    all
}

/// Whether the owner of one of these data has something to say of its place.
#[inline]
pub fn are_placed<A: Arg>(arguments: &mut A) -> bool {
    let mut are_placed = false;
    accesses_of(arguments, &mut |access| are_placed |= access.place.is_some());
    are_placed
}

/// A task's way into the queue of one datum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entrance {
    pub(crate) turns: NonNull<TaskTurns>,
    /// Where the number of the turn is kept.
    pub(crate) turn: NonNull<AtomicU64>,
    pub(crate) usage: Usage,
}

/// The queues that a task is to enter. Most tasks enter none, and most others one.
#[derive(Debug, Default)]
pub(crate) struct Entrances {
    first: Option<Entrance>,
    others: Vec<Entrance>,
}

/// A task wants the same datum twice, and once alone.
#[derive(Debug)]
pub(crate) struct Twice;

impl Entrances {
    fn add(&mut self, entrance: Entrance) {
        match self.first {
            None => self.first = Some(entrance),
            Some(_) => self.others.push(entrance),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entrance> {
        self.first.iter().chain(&self.others)
    }

    pub(crate) fn are_several(&self) -> bool {
        !self.others.is_empty()
    }

    /// Leaves one entrance for each datum: several arguments that read the same share one turn.
    pub(crate) fn merge(&mut self) -> Result<(), Twice> {
        if !self.are_several() {
            return Ok(());
        }
        let mut known: Vec<Entrance> = self.first.into_iter().collect();
        for entrance in std::mem::take(&mut self.others) {
            match known.iter().find(|other| other.turns == entrance.turns) {
                None => known.push(entrance),
                Some(other) if other.usage == Usage::Shared && entrance.usage == Usage::Shared => {}
                Some(_) => return Err(Twice),
            }
        }
        self.others = known.split_off(1);
        Ok(())
    }
}

/// A handle that the function receives as it is.
#[derive(Debug)]
pub struct Lent<H>(H);

impl<H: Clone> Lent<H> {
    /// The argument that gives `&H` to the function.
    pub fn new(handle: H) -> Lent<H> {
        Lent(handle)
    }
}

// SAFETY: the handle stays in the argument; there are no edges.
unsafe impl<H: Clone + Send + Sync + 'static> Arg for Lent<H> {
    type Out<'a> = &'a H;
    const WAITS: bool = false;
    unsafe fn wire(_: NonNull<Self>, _: &mut Wiring) {}
    unsafe fn open<'a>(this: NonNull<Self>) -> &'a H {
        // SAFETY: the caller's promise.
        &unsafe { this.as_ref() }.0
    }
    unsafe fn discard(_: NonNull<Self>) {}
    fn spare(&self) -> Option<Self> {
        Some(Lent(self.0.clone()))
    }
    fn inputs(&self, _: &mut dyn FnMut(&TaskRef)) {}
}

impl<T> Clone for Target<T> {
    fn clone(&self) -> Target<T> {
        match self {
            Target::This(datum) => Target::This(datum.clone()),
            Target::OneOf(choice) => Target::OneOf(choice.clone()),
        }
    }
}

impl fmt::Debug for Lives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lives").field("is_chosen", &self.choice.is_some()).finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static, const ALONE: bool> fmt::Debug for Access<T, ALONE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("alone", &ALONE).field("turn", &self.turn).finish_non_exhaustive()
    }
}

impl fmt::Debug for AccessTo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTo").field("turn", &self.turn).finish_non_exhaustive()
    }
}
