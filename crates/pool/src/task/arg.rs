//! The arguments of a task: what they hang on while it waits, and what its function receives.
//!
//! | argument | made of | the function receives |
//! |---|---|---|
//! | [`Value<T>`] | a `T` | the `T` |
//! | [`Dep<T>`] | a task | `&T` |
//! | [`Own<T>`] | a task | `T`: moved out of its last reference, else cloned |
//! | [`Many<T>`] | tasks | `&[&T]` |
//! | [`Hold<T, H>`], [`HoldMany<T, H>`] | tasks | the handles themselves, once the tasks have ended |
//! | [`Local<F>`](super::closure::Local), [`Code<F>`](super::closure::Code), [`Calls<F>`](super::closure::Calls) | a closure | the closure |
//! | [`Read<T>`](super::access::Read), [`Write<T>`](super::access::Write) | a datum | `&T`, `&mut T` |
//! | a tuple of arguments | | the tuple of what they receive |

use super::access::{AccessTo, Entrances};
use super::handle::{AnyHandle, Handle};
use super::kept;
use super::opened::Spare;
use super::parcel::{Piece, Pieces, Unmovable, Unpacking};
use super::ticket::ask_for;
use super::told::{Part, encoded};
use super::watch::{Parked, Watcher};
use super::{Header, KEPT, TAKEN, TaskRef};
use crate::edge::{Dependents, Edge, Ended, Waiter};
use poniard_model::codec::Encoded;
use poniard_model::{Data, TaskError};
use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{NonNull, addr_of_mut};

/// The waiters that hang on tasks.
pub(crate) type TaskWaiter = Waiter<Header, Parked, Watcher>;

/// One argument, or a tuple of them.
///
/// # Safety
/// `open` gives what `Out` says for as long as the arguments stay in place. `wire` pushes only edges that lie
/// inside the argument.
pub unsafe trait Arg: Send + Sized + 'static {
    /// What the task's function receives.
    type Out<'a>;
    /// Whether it may hang on tasks. Arguments that never do cost nothing at the spawn.
    const WAITS: bool;
    /// Whether it may give access to a datum.
    const ACCESSES: bool = false;

    /// Hangs the task on the tasks that the argument refers to.
    ///
    /// # Safety
    /// The argument lies inside the wiring's task, stays there, and nobody else touches it.
    unsafe fn wire(this: NonNull<Self>, wiring: &mut Wiring);

    /// Opens the argument for the task's function.
    ///
    /// # Safety
    /// Once only; every task that it refers to has ended well; it stays in place for `'a`, and nobody else touches it.
    /// Values move out of it: what is left may be dropped, but [`Arg::discard`] may not be called any more. After a panic
    /// neither: what would have moved out later is dropped by then.
    unsafe fn open<'a>(this: NonNull<Self>) -> Self::Out<'a>;

    /// Drops what `open` would have moved out.
    ///
    /// # Safety
    /// Once only, and not after `open`.
    unsafe fn discard(this: NonNull<Self>);

    /// A copy for another attempt; `None` when the argument cannot be copied.
    fn spare(&self) -> Option<Self>;

    /// Visits the tasks that the argument refers to.
    #[doc(hidden)]
    fn inputs(&self, visit: &mut dyn FnMut(&TaskRef));

    /// Visits the tasks whose values the function reads.
    #[doc(hidden)]
    fn reads(&self, visit: &mut dyn FnMut(&TaskRef)) {
        self.inputs(visit);
    }

    /// Visits the accesses to data.
    ///
    /// # Safety
    /// The argument lies there; others may touch the parts that are no accesses, and only look at those.
    #[doc(hidden)]
    unsafe fn accesses(this: NonNull<Self>, visit: &mut dyn FnMut(&AccessTo<'_>)) {
        let _ = (this, visit);
    }

    /// Tells what the argument is, so that the same call is known again.
    #[doc(hidden)]
    fn parts(&self, visit: &mut dyn FnMut(Part)) {
        visit(Part::Opaque);
    }

    /// Packs the argument for another process.
    ///
    /// # Errors
    /// Why it cannot go there.
    ///
    /// # Safety
    /// Every task that it refers to has ended well, its value is in memory, or is large and not held; and the argument is not opened.
    #[doc(hidden)]
    unsafe fn pack(&self, pieces: &mut Pieces) -> Result<(), Unmovable> {
        let _ = pieces;
        Err(Unmovable::argument("an access to data"))
    }

    /// The argument that was packed.
    ///
    /// # Errors
    /// When the pieces are of other arguments.
    #[doc(hidden)]
    fn unpack(pieces: &mut Unpacking<'_>) -> Result<Self, Unmovable> {
        let _ = pieces;
        Err(Unmovable::argument("an access to data"))
    }

    /// Tells the results that the argument refers to, in the order of [`Arg::parts`], as bytes.
    ///
    /// # Safety
    /// Every task that it refers to has ended well, its value is in memory, and the argument is not opened.
    #[doc(hidden)]
    unsafe fn contents(&self, visit: &mut dyn FnMut(Option<Encoded>)) {
        let _ = visit;
    }
}

/// What hanging a task up has found so far.
#[derive(Debug)]
pub struct Wiring {
    task: NonNull<Header>,
    pub(crate) edges: u32,
    pub(crate) failed: Option<TaskError>,
    /// Whether one of the inputs has ended with a large value.
    pub(crate) meets_kept: bool,
    /// Why the task cannot run.
    pub(crate) refused: Option<String>,
    /// The queues of the data that the task wants to use.
    pub(crate) accesses: Entrances,
}

impl Wiring {
    pub(crate) fn new(task: &TaskRef) -> Wiring {
        let task = task.as_non_null();
        Wiring {
            task,
            edges: 0,
            failed: None,
            refused: None,
            accesses: Entrances::default(),
            meets_kept: false,
        }
    }

    /// Something that the task needs has failed.
    pub(crate) fn fail(&mut self, error: &TaskError) {
        if self.failed.is_none() {
            self.failed = Some(error.clone());
        }
    }

    /// The task cannot run.
    pub(crate) fn refuse(&mut self, reason: String) {
        self.refused = Some(reason);
    }

    /// Whether the task runs in another process.
    pub(crate) fn goes_away(&self) -> bool {
        // SAFETY: the task is alive while it is wired.
        unsafe { self.task.as_ref() }.is_away()
    }

    /// Hangs the task on `input` by `edge`.
    ///
    /// # Safety
    /// The edge lies inside the task, and nobody else touches it.
    #[inline]
    pub(crate) unsafe fn hang(&mut self, input: &TaskRef, edge: NonNull<Edge>) {
        let waiter: TaskWaiter = Waiter::Task(self.task);
        let dependents: &Dependents = &input.dependents;
        // SAFETY: the caller's promise; the edge stays until the chain hands it out, because the task keeps its
        // arguments until all its edges are back.
        match unsafe { dependents.push(edge, waiter) } {
            Ok(()) => {
                self.edges += 1;
                // The edge hangs: whoever answers finds it.
                ask_for(input);
            }
            Err(Ended::Done) => self.meets_kept |= input.flags() & KEPT != 0,
            Err(Ended::Failed) => {
                if let Some(error) = input.error() {
                    self.fail(error);
                }
            }
        }
    }
}

/// A plain value.
#[derive(Debug)]
pub struct Value<T>(ManuallyDrop<T>);

impl<T> Value<T> {
    /// The argument that gives `value` to the function.
    #[inline]
    pub fn new(value: T) -> Value<T> {
        Value(ManuallyDrop::new(value))
    }
}

// SAFETY: the value moves out once; there are no edges.
unsafe impl<T: Data> Arg for Value<T> {
    type Out<'a> = T;
    const WAITS: bool = false;
    #[inline]
    unsafe fn wire(_: NonNull<Self>, _: &mut Wiring) {}
    #[inline]
    unsafe fn open<'a>(this: NonNull<Self>) -> Self::Out<'a> {
        // SAFETY: once only, by the caller's promise.
        ManuallyDrop::into_inner(unsafe { this.read() }.0)
    }
    unsafe fn discard(this: NonNull<Self>) {
        // SAFETY: as for `open`.
        drop(unsafe { Self::open(this) });
    }
    fn spare(&self) -> Option<Self> {
        let codec = T::codec()?;
        let copy = codec.encode(&self.0).and_then(|encoded| codec.decode(&encoded));
        copy.ok().map(Value::new)
    }
    fn inputs(&self, _: &mut dyn FnMut(&TaskRef)) {}
    fn parts(&self, visit: &mut dyn FnMut(Part)) {
        visit(encoded(&*self.0).map_or(Part::Opaque, Part::Value));
    }
    unsafe fn pack(&self, pieces: &mut Pieces) -> Result<(), Unmovable> {
        pieces.0.push(Piece::Value(Pieces::value(&*self.0)?));
        Ok(())
    }
    fn unpack(pieces: &mut Unpacking<'_>) -> Result<Self, Unmovable> {
        pieces.value().map(Value::new)
    }
}

/// The result of a task, by reference.
#[derive(Debug)]
pub struct Dep<T> {
    task: TaskRef,
    edge: UnsafeCell<Edge>,
    result: PhantomData<fn() -> T>,
}

// SAFETY: the edge is touched only through the list that it hangs in, as `Dependents` says.
unsafe impl<T: Send + Sync> Send for Dep<T> {}

impl<T> Dep<T> {
    /// The argument that gives the result of `handle`'s task to the function.
    #[inline]
    pub fn new(handle: Handle<T>) -> Dep<T> {
        Dep { task: handle.into_task(), edge: UnsafeCell::new(Edge::new()), result: PhantomData }
    }

    /// Hangs up by the edge inside.
    ///
    /// # Safety
    /// As for [`Arg::wire`].
    #[inline]
    pub(super) unsafe fn hang(this: NonNull<Self>, wiring: &mut Wiring) {
        // SAFETY: a field of the argument; no reference is made.
        let edge = unsafe { addr_of_mut!((*this.as_ptr()).edge) };
        // SAFETY: a field of a live object is not null.
        let edge = unsafe { NonNull::new_unchecked(edge) }.cast::<Edge>();
        // SAFETY: nobody else touches the argument.
        let task = unsafe { &this.as_ref().task };
        // SAFETY: the edge lies inside the wiring's task.
        unsafe { wiring.hang(task, edge) }
    }

    /// On a task, whatever its result: of that nothing is read by this.
    pub(super) fn of_any(task: TaskRef) -> Dep<T> {
        Dep { task, edge: UnsafeCell::new(Edge::new()), result: PhantomData }
    }

    pub(super) fn task(&self) -> &TaskRef {
        &self.task
    }

    pub(super) fn again(&self) -> Dep<T> {
        Dep { task: self.task.clone(), edge: UnsafeCell::new(Edge::new()), result: PhantomData }
    }
}

// SAFETY: the reference to the task keeps the value in place for as long as the argument stays.
unsafe impl<T: Data> Arg for Dep<T> {
    type Out<'a> = &'a T;
    const WAITS: bool = true;
    #[inline]
    unsafe fn wire(this: NonNull<Self>, wiring: &mut Wiring) {
        // SAFETY: the caller's promise.
        unsafe { Self::hang(this, wiring) }
    }
    #[inline]
    unsafe fn open<'a>(this: NonNull<Self>) -> &'a T {
        // SAFETY: the caller's promise.
        let dep = unsafe { this.as_ref() };
        // SAFETY: the task has ended well, with a `T`, and while we refer to it nobody takes the value.
        let value = unsafe { dep.task.value::<T>() };
        // SAFETY: as above.
        unsafe { value.as_ref() }
    }
    unsafe fn discard(_: NonNull<Self>) {}
    fn spare(&self) -> Option<Self> {
        Some(self.again())
    }
    fn inputs(&self, visit: &mut dyn FnMut(&TaskRef)) {
        visit(&self.task);
    }
    fn parts(&self, visit: &mut dyn FnMut(Part)) {
        visit(Part::Result(AnyHandle::new(self.task.clone())));
    }
    unsafe fn contents(&self, visit: &mut dyn FnMut(Option<Encoded>)) {
        // SAFETY: the caller's promise.
        let value = unsafe { self.task.value::<T>() };
        // SAFETY: while we refer to the task nobody takes the value.
        visit(encoded(unsafe { value.as_ref() }));
    }
    unsafe fn pack(&self, pieces: &mut Pieces) -> Result<(), Unmovable> {
        let task = self.task.id();
        if self.task.flags() & KEPT != 0 && !kept::is_held_here(task.into()) {
            let (name, bytes) = (self.task.name(), kept::bytes(task.into()).unwrap_or(0));
            pieces.0.push(Piece::Result { task, name, bytes });
            return Ok(());
        }
        // SAFETY: the caller's promise, and a large value is held.
        let value = unsafe { self.task.value::<T>() };
        // SAFETY: while we refer to the task nobody takes the value.
        let value = Pieces::value(unsafe { value.as_ref() })?;
        pieces.0.push(Piece::Value(value));
        Ok(())
    }
    fn unpack(pieces: &mut Unpacking<'_>) -> Result<Self, Unmovable> {
        pieces.result().map(Dep::new)
    }
}

/// The result of a task, by value.
#[derive(Debug)]
pub struct Own<T>(Dep<T>);

impl<T> Own<T> {
    /// The argument that gives the result of `handle`'s task to the function, to keep.
    #[inline]
    pub fn new(handle: Handle<T>) -> Own<T> {
        Own(Dep::new(handle))
    }
}

// SAFETY: the value moves out only when nobody else refers to the task, and is marked as taken.
unsafe impl<T: Data + Clone> Arg for Own<T> {
    type Out<'a> = T;
    const WAITS: bool = true;
    #[inline]
    unsafe fn wire(this: NonNull<Self>, wiring: &mut Wiring) {
        // SAFETY: the caller's promise; `Own` is a `Dep` and nothing else.
        unsafe { Dep::hang(this.cast::<Dep<T>>(), wiring) }
    }
    #[inline]
    unsafe fn open<'a>(this: NonNull<Self>) -> Self::Out<'a> {
        // SAFETY: the caller's promise.
        let Own(dep) = unsafe { this.as_ref() };
        // SAFETY: the task has ended well, with a `T`.
        let value = unsafe { dep.task.value::<T>() };
        let is_kept = dep.task.flags() & KEPT != 0;
        if dep.task.is_only() && (!is_kept || kept::take(dep.task.id().into())) {
            dep.task.set_flags(TAKEN);
            // SAFETY: ours is the only reference, so nobody reads the value; `TAKEN` keeps it from being dropped.
            return unsafe { value.read() };
        }
        // SAFETY: while we refer to the task nobody takes the value.
        unsafe { value.as_ref() }.clone()
    }
    unsafe fn discard(_: NonNull<Self>) {}
    fn spare(&self) -> Option<Self> {
        Some(Own(self.0.again()))
    }
    fn inputs(&self, visit: &mut dyn FnMut(&TaskRef)) {
        self.0.inputs(visit);
    }
    fn parts(&self, visit: &mut dyn FnMut(Part)) {
        self.0.parts(visit);
    }
    unsafe fn contents(&self, visit: &mut dyn FnMut(Option<Encoded>)) {
        // SAFETY: the caller's promise.
        unsafe { self.0.contents(visit) }
    }
    unsafe fn pack(&self, pieces: &mut Pieces) -> Result<(), Unmovable> {
        // SAFETY: the caller's promise.
        unsafe { self.0.pack(pieces) }
    }
    fn unpack(pieces: &mut Unpacking<'_>) -> Result<Self, Unmovable> {
        Dep::unpack(pieces).map(Own)
    }
}

/// The results of several tasks of one type, by reference.
#[derive(Debug)]
pub struct Many<T> {
    deps: Box<[Dep<T>]>,
    /// The references that the function sees; filled when the argument is opened.
    values: Vec<NonNull<T>>,
}

// SAFETY: the pointers are to results, which are `Sync`.
unsafe impl<T: Send + Sync> Send for Many<T> {}

impl<T> Many<T> {
    /// The argument that gives the results of all `handles` to the function.
    pub fn new(handles: impl IntoIterator<Item = Handle<T>>) -> Many<T> {
        Many { deps: handles.into_iter().map(Dep::new).collect(), values: Vec::new() }
    }
}

// SAFETY: as for `Dep`; the slice lies in the argument's own vector.
unsafe impl<T: Data> Arg for Many<T> {
    type Out<'a> = &'a [&'a T];
    const WAITS: bool = true;
    unsafe fn wire(this: NonNull<Self>, wiring: &mut Wiring) {
        // SAFETY: others only look at it meanwhile: an input that ends asks whether it is read.
        let many = unsafe { this.as_ref() };
        for dep in &many.deps {
            // SAFETY: the edges lie in the argument's own box, which stays until they are back.
            unsafe { Dep::hang(NonNull::from(dep), wiring) }
        }
    }
    unsafe fn open<'a>(this: NonNull<Self>) -> &'a [&'a T] {
        // SAFETY: the caller's promise.
        let many = unsafe { &mut *this.as_ptr() };
        let value = |dep: &Dep<T>| {
            // SAFETY: the task has ended well, with a `T`.
            unsafe { dep.task.value::<T>() }
        };
        many.values = many.deps.iter().map(value).collect();
        let first = many.values.as_ptr().cast::<&'a T>();
        // SAFETY: pointers that are not null have the layout of references; the values stay while the argument does.
        unsafe { std::slice::from_raw_parts(first, many.values.len()) }
    }
    unsafe fn discard(_: NonNull<Self>) {}
    fn spare(&self) -> Option<Self> {
        Some(Many { deps: self.deps.iter().map(Dep::again).collect(), values: Vec::new() })
    }
    fn inputs(&self, visit: &mut dyn FnMut(&TaskRef)) {
        self.deps.iter().for_each(|dep| visit(&dep.task));
    }
    fn parts(&self, visit: &mut dyn FnMut(Part)) {
        self.deps.iter().for_each(|dep| dep.parts(visit));
    }
    unsafe fn contents(&self, visit: &mut dyn FnMut(Option<Encoded>)) {
        for dep in &self.deps {
            // SAFETY: the caller's promise.
            unsafe { dep.contents(visit) }
        }
    }
    unsafe fn pack(&self, pieces: &mut Pieces) -> Result<(), Unmovable> {
        let count = u32::try_from(self.deps.len()).map_err(|_| Unmovable::new("it has 2^32 inputs"))?;
        pieces.0.push(Piece::Count(count));
        for dep in &self.deps {
            // SAFETY: the caller's promise.
            unsafe { dep.pack(pieces) }?;
        }
        Ok(())
    }
    fn unpack(pieces: &mut Unpacking<'_>) -> Result<Self, Unmovable> {
        let count = pieces.count()?;
        let handles: Result<Vec<Handle<T>>, Unmovable> = (0..count).map(|_| pieces.result()).collect();
        Ok(Many::new(handles?))
    }
}

/// The tasks that an argument, or a tuple of them, refers to.
pub fn inputs_of(arguments: &impl Arg) -> Vec<AnyHandle> {
    let mut inputs = Vec::new();
    arguments.inputs(&mut |task| inputs.push(AnyHandle::new(task.clone())));
    inputs
}

/// A pointer to one part of a tuple.
macro_rules! part {
    ($this:ident, $place:tt) => {
        NonNull::new_unchecked(addr_of_mut!((*$this.as_ptr()).$place))
    };
}
/// Does something when a panic drops it; otherwise it is forgotten, and costs nothing.
struct OnUnwind<F: Fn()>(F);

impl<F: Fn()> Drop for OnUnwind<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

macro_rules! tuples {
    ($(($($name:ident $place:tt),*))*) => {$(
        // SAFETY: each part keeps its own promise.
        #[allow(unused_variables, clippy::unused_unit)]
        unsafe impl<$($name: Arg),*> Arg for ($($name,)*) {
            type Out<'a> = ($($name::Out<'a>,)*);
            const WAITS: bool = false $(|| $name::WAITS)*;
            const ACCESSES: bool = false $(|| $name::ACCESSES)*;
            #[inline]
            unsafe fn wire(this: NonNull<Self>, wiring: &mut Wiring) {
                $(
                    // SAFETY: a part of the tuple.
                    let part = unsafe { part!(this, $place) };
                    // SAFETY: the caller's promise.
                    unsafe { $name::wire(part, wiring) };
                )*
            }
            #[inline]
            unsafe fn open<'a>(this: NonNull<Self>) -> Self::Out<'a> {
                let begun = Cell::new(0);
                let rest = OnUnwind(|| {
                    $(if $place >= begun.get() {
                        crate::panics::contain(|| {
                            // SAFETY: a part of the tuple.
                            let part = unsafe { part!(this, $place) };
                            // SAFETY: an earlier part has panicked, so this one is not opened any more.
                            unsafe { $name::discard(part) };
                        });
                    })*
                });
                let opened = ($({
                    begun.set($place + 1);
                    // SAFETY: a part of the tuple.
                    let part = unsafe { part!(this, $place) };
                    // SAFETY: the caller's promise.
                    unsafe { $name::open(part) }
                },)*);
                std::mem::forget(rest);
                opened
            }
            unsafe fn discard(this: NonNull<Self>) {
                // A part whose destructor panics does not keep the others.
                $(crate::panics::contain(|| {
                    // SAFETY: a part of the tuple.
                    let part = unsafe { part!(this, $place) };
                    // SAFETY: the caller's promise.
                    unsafe { $name::discard(part) };
                });)*
            }
            fn spare(&self) -> Option<Self> {
                // Guarded one by one: when a later part cannot be copied, the earlier copies go.
                let parts = ($(Spare::new(self.$place.spare()?),)*);
                Some(($(parts.$place.into_inner(),)*))
            }
            fn inputs(&self, visit: &mut dyn FnMut(&TaskRef)) {
                $(self.$place.inputs(visit);)*
            }
            fn reads(&self, visit: &mut dyn FnMut(&TaskRef)) {
                $(self.$place.reads(visit);)*
            }
            unsafe fn accesses(this: NonNull<Self>, visit: &mut dyn FnMut(&AccessTo<'_>)) {
                $(if $name::ACCESSES {
                    // SAFETY: a part of the tuple.
                    let part = unsafe { part!(this, $place) };
                    // SAFETY: the caller's promise.
                    unsafe { $name::accesses(part, visit) };
                })*
            }
            fn parts(&self, visit: &mut dyn FnMut(Part)) {
                $(self.$place.parts(visit);)*
            }
            unsafe fn contents(&self, visit: &mut dyn FnMut(Option<Encoded>)) {
                $(
                    // SAFETY: the caller's promise.
                    unsafe { self.$place.contents(visit) };
                )*
            }
            unsafe fn pack(&self, pieces: &mut Pieces) -> Result<(), Unmovable> {
                $(
                    // SAFETY: the caller's promise.
                    unsafe { self.$place.pack(pieces) }?;
                )*
                Ok(())
            }
            fn unpack(pieces: &mut Unpacking<'_>) -> Result<Self, Unmovable> {
                // Guarded one by one: when a later part cannot be read, the earlier ones go.
                let parts = ($(Spare::new($name::unpack(pieces)?),)*);
                Ok(($(parts.$place.into_inner(),)*))
            }
        }
    )*};
}

tuples! {
    () (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5) (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7) (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11)
}
