//! A task's call as it goes to another process of the same build: where its code lies, and what its arguments are.
//!
//! Code goes as an address, which the carrier makes an offset of (see [`image`](crate::image)). The arguments are packed from
//! where they lie and stay there, so that the call can be packed once more when the other process is lost. What only the engine
//! can do, to make tasks there and to end them here, it does itself.

use super::arg::Arg;
use super::datum::Datum;
use super::extra::Extra;
use super::handle::{AnyHandle, Handle};
use super::kept::Moved;
use super::opened::Spare;
use super::passage::{DatumStranger, DatumTraveller};
use super::promised::{Absent, Promised};
use super::traveller::Traveller;
use super::{Body, Call, Header, Identity, TaskRef};
use crate::gate::Gate;
use crate::me::me;
use crate::{image, panics};
use poniard_model::codec::{Encoded, Thing};
use poniard_model::{Cause, CodecError, Data, Site, TaskId};
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

/// A call, packed.
#[derive(Debug)]
pub struct Parcel {
    /// What makes the task of it.
    pub entry: Entry,
    /// The address of the task's function.
    pub body: usize,
    /// Where it was spawned.
    pub site: &'static Site,
    /// What the arguments are, in their order.
    pub pieces: Vec<Piece>,
}

/// A part of the arguments.
pub enum Piece {
    /// A value, or the result of a task.
    Value(Encoded),
    /// The result of a task of this process, which is with another one. The task that takes it keeps that.
    Result {
        /// Which.
        task: TaskId,
        /// Its name.
        name: Arc<str>,
        /// Bytes of memory that the result holds.
        bytes: u64,
    },
    /// Where that arrives: the result of this task, which is here.
    Here(AnyHandle),
    /// Where it arrives: the result of a task of another process, which is not here.
    Absent(Absent),
    /// So many results follow, which make one argument.
    Count(u32),
    /// A datum, to which the task goes: a [`DatumTraveller`], or what came of it there.
    Datum(Thing),
}

/// Why a call cannot go to another process, or cannot be read there.
#[derive(Debug)]
pub struct Unmovable(String);

/// What makes a task of a call that has arrived: one function for each kind of arguments, results and bodies.
#[derive(Clone, Copy)]
pub struct Entry(Make);

type Make = unsafe fn(Arrival<'_>) -> Result<TaskRef, Unmovable>;

/// A call that has arrived.
pub(crate) struct Arrival<'a> {
    pub(crate) body: usize,
    pub(crate) site: &'static Site,
    pub(crate) extra: Box<Extra>,
    pub(crate) pieces: VecDeque<Piece>,
    /// What the engine gives to new tasks.
    pub(crate) identity: &'a dyn Fn() -> Identity,
    /// Ends a task whose value is in its slot.
    pub(crate) end: &'a dyn Fn(&TaskRef),
}

/// How a value comes home, by its type.
#[derive(Clone, Copy)]
pub(crate) struct Homecoming {
    decode: fn(&Encoded) -> Result<Moved, CodecError>,
    move_in: unsafe fn(NonNull<Header>, Moved),
}

/// A task that was packed instead of run.
pub(crate) struct Packed {
    pub(crate) parcel: Result<Parcel, Unmovable>,
    pub(crate) homecoming: Homecoming,
}

impl Entry {
    /// Its address.
    pub fn address(self) -> usize {
        self.0 as usize
    }

    /// Makes the task that has arrived, by the entry at this address. It is not launched.
    ///
    /// # Safety
    /// The entry's address and the body's were in one parcel, which a process of this same build has packed, with the pieces; and
    /// they are where that code lies here.
    pub(crate) unsafe fn make(address: usize, arrival: Arrival<'_>) -> Result<TaskRef, Unmovable> {
        // SAFETY: the caller's promise: it is the address of such a function.
        let make = unsafe { std::mem::transmute::<usize, Make>(address) };
        // SAFETY: the caller's promise.
        unsafe { make(arrival) }
    }
}

impl Homecoming {
    pub(super) fn of<R: Data>() -> Homecoming {
        Homecoming { decode: decode::<R>, move_in: move_in::<R> }
    }

    /// Reads the value.
    pub(crate) fn read(self, encoded: &Encoded) -> Result<Moved, Cause> {
        let read = panics::caught(|| (self.decode)(encoded));
        let read = read.ok_or_else(|| Cause::scheduling("reading its result panicked"))?;
        read.map_err(|error| Cause::scheduling(error.to_string()))
    }

    /// Writes the value into the task's slot.
    ///
    /// # Safety
    /// The task is the one that was packed, and the caller has the right to end it, for the first time.
    pub(crate) unsafe fn put(self, task: &TaskRef, value: Moved) {
        // SAFETY: the caller's promise.
        unsafe { (self.move_in)(task.as_non_null(), value) }
    }
}

fn decode<R: Data>(encoded: &Encoded) -> Result<Moved, CodecError> {
    match R::codec() {
        Some(codec) => Ok(Box::new(codec.decode(encoded)?)),
        None => {
            Err(CodecError::other(std::any::type_name::<R>(), "it cannot leave the process that made it"))
        }
    }
}

/// # Safety
/// As for [`Homecoming::put`]; the result is an `R`.
unsafe fn move_in<R: Data>(task: NonNull<Header>, value: Moved) {
    let value: Box<dyn Any> = value;
    let value = value.downcast::<R>().expect("it was decoded for this task");
    let task = std::mem::ManuallyDrop::new(TaskRef(task));
    // SAFETY: the caller's promise.
    unsafe { task.put_value(*value) };
}

impl Unmovable {
    /// For this reason.
    pub fn new(reason: impl Into<String>) -> Unmovable {
        Unmovable(reason.into())
    }

    /// An argument of this kind exists in this process only.
    pub(crate) fn argument(kind: &str) -> Unmovable {
        Unmovable(format!("{kind} among its arguments exists in this process only"))
    }

    fn other_arguments() -> Unmovable {
        Unmovable::new("there are other arguments than the task has")
    }

    /// What the user's code did with a value of this type.
    fn panicked<T>(verb: &str) -> Unmovable {
        Unmovable(format!("{verb} a `{}` panicked", std::any::type_name::<T>()))
    }
}

impl From<CodecError> for Unmovable {
    fn from(error: CodecError) -> Unmovable {
        Unmovable(error.to_string())
    }
}

/// Takes the parts of arguments, in their order.
#[derive(Debug, Default)]
pub struct Pieces(pub(crate) Vec<Piece>);

impl Pieces {
    /// A value, whatever it is made of.
    pub(crate) fn value<T: Data>(value: &T) -> Result<Encoded, Unmovable> {
        let Some(codec) = T::codec() else {
            return Err(Unmovable::argument(&format!("a `{}`", std::any::type_name::<T>())));
        };
        let encoded = panics::caught(|| codec.encode(value));
        let encoded = encoded.ok_or_else(|| Unmovable::panicked::<T>("writing"))??;
        if can_cross(&encoded) {
            return Ok(encoded);
        }
        Err(Unmovable::argument(&format!("a handle in a `{}`", std::any::type_name::<T>())))
    }
}

impl Pieces {
    /// A datum of another process, to which the task goes.
    pub(super) fn datum<T: Send + Sync + 'static>(&mut self, datum: &Datum<T>) -> Result<(), Unmovable> {
        let traveller = DatumTraveller::going_home(datum);
        let traveller = traveller.ok_or_else(|| Unmovable::argument("a mutable that lives here"))?;
        self.0.push(Piece::Datum(Arc::new(traveller)));
        Ok(())
    }
}

/// Gives the parts of arguments back, in their order.
pub struct Unpacking<'a>(Arrival<'a>);

impl Unpacking<'_> {
    /// The next part, which is a value.
    pub(crate) fn value<T: Data>(&mut self) -> Result<T, Unmovable> {
        match self.0.pieces.pop_front() {
            Some(Piece::Value(encoded)) => Self::read(&encoded),
            _ => Err(Unmovable::other_arguments()),
        }
    }

    fn read<T: Data>(encoded: &Encoded) -> Result<T, Unmovable> {
        let Some(codec) = T::codec() else {
            return Err(Unmovable::argument(&format!("a `{}`", std::any::type_name::<T>())));
        };
        let decoded = panics::caught(|| codec.decode(encoded));
        Ok(decoded.ok_or_else(|| Unmovable::panicked::<T>("reading"))??)
    }

    /// The next part, which is the result of a task.
    pub(crate) fn result<T: Data>(&mut self) -> Result<Handle<T>, Unmovable> {
        let value = match self.0.pieces.pop_front() {
            Some(Piece::Value(encoded)) => Self::read::<T>(&encoded)?,
            Some(Piece::Here(task)) => return task.typed().ok_or_else(Unmovable::other_arguments),
            Some(Piece::Absent(Absent(absent))) => {
                let met = absent.meet(Promised::of::<T>()).map(Handle::from_task);
                return met.ok_or_else(Unmovable::other_arguments);
            }
            _ => return Err(Unmovable::other_arguments()),
        };
        let task = TaskRef::with_value(value, self.0.site, (self.0.identity)());
        (self.0.end)(&task);
        Ok(Handle::from_task(task))
    }

    /// The next part, which is a datum of this process.
    pub(super) fn datum<T: Send + Sync + 'static>(&mut self) -> Result<Datum<T>, Unmovable> {
        let Some(Piece::Datum(thing)) = self.0.pieces.pop_front() else {
            return Err(Unmovable::other_arguments());
        };
        if let Some(stranger) = thing.downcast_ref::<DatumStranger>() {
            let (owner, me) = (stranger.origin().owner, me());
            return Err(Unmovable(match owner == me {
                true => format!("a mutable among its arguments has lived on {me}, and is gone"),
                false => format!("a mutable among its arguments lives on {owner}, and not on {me}"),
            }));
        }
        let datum = thing.downcast_ref::<DatumTraveller>().and_then(DatumTraveller::datum::<T>);
        datum.ok_or_else(Unmovable::other_arguments)
    }

    /// How many results make the next argument.
    pub(crate) fn count(&mut self) -> Result<u32, Unmovable> {
        match self.0.pieces.pop_front() {
            Some(Piece::Count(count)) if count as usize <= self.0.pieces.len() => Ok(count),
            _ => Err(Unmovable::other_arguments()),
        }
    }
}

impl TaskRef {
    /// A task that nobody has to run: its value is in its slot, and it is claimed, but not sealed.
    pub(crate) fn with_value<R: Data>(value: R, site: &'static Site, identity: Identity) -> TaskRef {
        let body: Call<(), R> = Call(|()| unreachable!("a value that was put is not run"));
        let task = TaskRef::new((), body, site, identity, Gate::ready(), None);
        let claimed = task.gate.claim();
        debug_assert!(claimed, "nobody else knows the task");
        // SAFETY: nobody else knows the task.
        unsafe { task.put_value(value) };
        task
    }

    /// Keeps the value of a task that came from another process, as bytes, for that one.
    pub(crate) fn keep_product<R: Data>(&self, value: &R) {
        if let Some(extra) = self.extra().filter(|extra| extra.guest.is_some()) {
            extra.keep_product(product(value, self.site.name));
        }
    }
}

/// Whether all that is beside the bytes can go to another process: handles of tasks and of data can.
fn can_cross(encoded: &Encoded) -> bool {
    encoded.things().iter().all(|thing| thing.is::<Traveller>() || thing.is::<DatumTraveller>())
}

/// A value that goes to another process, as bytes.
pub(crate) fn product<R: Data>(value: &R, name: &'static str) -> Result<Encoded, CodecError> {
    let Some(codec) = R::codec() else {
        return Err(CodecError::other(name, "it is pinned to the process that made it"));
    };
    let encoded = panics::caught(|| codec.encode(value));
    let encoded = encoded.unwrap_or_else(|| Err(CodecError::other(name, "writing it panicked")))?;
    if can_cross(&encoded) {
        return Ok(encoded);
    }
    Err(CodecError::other(name, "it holds handles, which exist only in the process that made them"))
}

/// Packs the call of a task from its arguments.
///
/// # Safety
/// Every task that the arguments refer to has ended well, its value is in memory, and the arguments are not opened.
pub(super) unsafe fn pack<A: Arg, R: Data, B: Body<A, R>>(
    arguments: &A,
    body: B,
    site: &'static Site,
) -> Packed {
    let mut pieces = Pieces::default();
    // SAFETY: the caller's promise.
    let packed = panics::caught(|| unsafe { arguments.pack(&mut pieces) });
    let packed = packed.unwrap_or_else(|| Err(Unmovable::new("writing its arguments panicked")));
    let (entry, body) = (Entry(make::<A, R, B>), body.address());
    let is_ours = image::is_code(entry.address()) && image::is_code(body);
    let elsewhere = || Unmovable::new("its function is part of a shared library, not of the executable");
    let packed = packed.and_then(|()| if is_ours { Ok(()) } else { Err(elsewhere()) });
    let pinned = || Unmovable::new("its result is pinned to the process that makes it");
    let packed = packed.and_then(|()| if R::codec().is_some() { Ok(()) } else { Err(pinned()) });
    let parcel = packed.map(|()| Parcel { entry, body, site, pieces: pieces.0 });
    Packed { parcel, homecoming: Homecoming::of::<R>() }
}

/// Makes the task that has arrived.
///
/// # Safety
/// As for [`Entry::make`]; this is the entry.
unsafe fn make<A: Arg, R: Data, B: Body<A, R>>(arrival: Arrival<'_>) -> Result<TaskRef, Unmovable> {
    let mut unpacking = Unpacking(arrival);
    let arguments = Spare::new(A::unpack(&mut unpacking)?);
    let Unpacking(Arrival { body, site, extra, pieces, identity, .. }) = unpacking;
    if !pieces.is_empty() {
        return Err(Unmovable::new("there are more arguments than the task has"));
    }
    // SAFETY: the caller's promise.
    let body = unsafe { B::at(body) };
    Ok(TaskRef::new(arguments.into_inner(), body, site, identity(), Gate::wiring(), Some(extra)))
}

impl fmt::Display for Unmovable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unmovable {}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Piece::Value(value) => f.debug_tuple("Value").field(value).finish(),
            Piece::Result { task, .. } => f.debug_tuple("Result").field(task).finish(),
            Piece::Here(task) => f.debug_tuple("Here").field(task).finish(),
            Piece::Absent(_) => f.write_str("Absent"),
            Piece::Count(count) => f.debug_tuple("Count").field(count).finish(),
            Piece::Datum(_) => f.write_str("Datum"),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({:#x})", self.address())
    }
}

impl fmt::Debug for Unpacking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unpacking").field(&self.0.pieces).finish()
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Packed").field(&self.parcel).finish()
    }
}
