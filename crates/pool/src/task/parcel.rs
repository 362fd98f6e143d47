//! A task's call as it goes to another process of the same build: where its code lies, and what its arguments are.
//!
//! Code goes as an address, which the carrier makes an offset of (see [`image`](crate::image)). The arguments are packed from
//! where they lie and stay there, so that the call can be packed once more when the other process is lost.

use super::arg::{Arg, Spare};
use super::extra::Extra;
use super::handle::{AnyHandle, Handle};
use super::{Body, KEPT, TaskRef};
use crate::engine::context;
use crate::engine::launch::launch;
use crate::gate::Gate;
use crate::{image, panics};
use poniard_model::codec::Encoded;
use poniard_model::{Cause, CodecError, Data, Site, TaskError};
use std::collections::VecDeque;
use std::fmt;

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
#[derive(Debug)]
pub enum Piece {
    /// A value.
    Value(Encoded),
    /// The result of a task.
    Result(AnyHandle, Encoded),
    /// So many results follow, which make one argument.
    Count(u32),
}

/// A part of the arguments, where they arrive.
#[derive(Debug)]
pub enum Arrived {
    /// A value, or the result of a task.
    Value(Encoded),
    /// So many results follow, which make one argument.
    Count(u32),
}

/// Why a call cannot go to another process, or cannot be read there.
#[derive(Debug)]
pub struct Unmovable(String);

/// What makes a task of a call that has arrived: one function for each kind of arguments, results and bodies.
#[derive(Clone, Copy)]
pub struct Entry(unsafe fn(Visit) -> Result<AnyHandle, Unmovable>);

/// A call that has arrived.
pub struct Visit {
    /// The address of the task's function, here.
    pub body: usize,
    /// Where it was spawned.
    pub site: &'static Site,
    /// What the task asks for.
    pub extra: Extra,
    /// What the arguments are, in their order.
    pub pieces: VecDeque<Arrived>,
    /// Told of the task's end, once; on the thread that ends it, so it must be short.
    pub reply: Box<dyn FnOnce(Result<Product, TaskError>) + Send>,
}

/// The result of a task that came from another process, in memory.
pub struct Product {
    handle: AnyHandle,
    encode: fn(&AnyHandle) -> Result<Encoded, CodecError>,
}

impl Entry {
    /// The entry of a kind of tasks.
    pub(super) fn of<A: Arg, R: Data, B: Body<A, R>>() -> Entry {
        Entry(visit::<A, R, B>)
    }

    /// Its address.
    pub fn address(self) -> usize {
        self.0 as usize
    }

    /// Launches the task that has arrived, by the entry at this address.
    ///
    /// # Errors
    /// When the arguments cannot be read.
    ///
    /// # Safety
    /// The entry's address and the visit's body were in one parcel, which a process of this same build has packed, with the
    /// pieces; and they are where that code lies here.
    pub unsafe fn launch(address: usize, visit: Visit) -> Result<AnyHandle, Unmovable> {
        // SAFETY: the caller's promise: it is the address of such a function.
        let entry = unsafe {
            std::mem::transmute::<usize, unsafe fn(Visit) -> Result<AnyHandle, Unmovable>>(address)
        };
        // SAFETY: the caller's promise.
        unsafe { entry(visit) }
    }
}

impl Product {
    /// The task.
    pub fn handle(&self) -> &AnyHandle {
        &self.handle
    }

    /// Its value, as bytes.
    ///
    /// # Errors
    /// When the value cannot leave this process.
    pub fn encoded(&self) -> Result<Encoded, CodecError> {
        (self.encode)(&self.handle)
    }
}

impl Unmovable {
    pub(crate) fn new(reason: impl Into<String>) -> Unmovable {
        Unmovable(reason.into())
    }

    /// An argument of this kind exists in this process only.
    pub(crate) fn argument(kind: &str) -> Unmovable {
        Unmovable(format!("{kind} among its arguments exists in this process only"))
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
        let encoded = panics::caught(|| codec.encode(value))
            .ok_or_else(|| Unmovable(format!("writing a `{}` panicked", std::any::type_name::<T>())))??;
        if encoded.can_leave() {
            return Ok(encoded);
        }
        Err(Unmovable::argument(&format!("a handle in a `{}`", std::any::type_name::<T>())))
    }
}

/// Gives the parts of arguments back, in their order.
#[derive(Debug)]
pub struct Unpacking<'a> {
    pieces: &'a mut VecDeque<Arrived>,
    site: &'static Site,
}

impl Unpacking<'_> {
    /// The next part, which is a value.
    pub(crate) fn value<T: Data>(&mut self) -> Result<T, Unmovable> {
        let Some(Arrived::Value(encoded)) = self.pieces.pop_front() else {
            return Err(Unmovable::new("there are other arguments than the task has"));
        };
        let Some(codec) = T::codec() else {
            return Err(Unmovable::argument(&format!("a `{}`", std::any::type_name::<T>())));
        };
        let decoded = panics::caught(|| codec.decode(&encoded));
        Ok(decoded
            .ok_or_else(|| Unmovable(format!("reading a `{}` panicked", std::any::type_name::<T>())))??)
    }

    /// The next part, which is the result of a task.
    pub(crate) fn result<T: Data>(&mut self) -> Result<Handle<T>, Unmovable> {
        Ok(crate::spawn::put(self.value()?, self.site))
    }

    /// How many results make the next argument.
    pub(crate) fn count(&mut self) -> Result<u32, Unmovable> {
        match self.pieces.pop_front() {
            Some(Arrived::Count(count)) if count as usize <= self.pieces.len() => Ok(count),
            _ => Err(Unmovable::new("there are other arguments than the task has")),
        }
    }
}

/// Packs the call of a task from its arguments.
///
/// # Safety
/// Every task that the arguments refer to has ended well, its value is in memory, and the arguments are not opened.
pub(crate) unsafe fn pack<A: Arg, R: Data, B: Body<A, R>>(
    arguments: &A,
    body: B,
    site: &'static Site,
) -> Result<Parcel, Unmovable> {
    let mut pieces = Pieces::default();
    // SAFETY: the caller's promise.
    unsafe { arguments.pack(&mut pieces) }?;
    let (entry, body) = (Entry::of::<A, R, B>(), body.address());
    if !(image::is_code(entry.address()) && image::is_code(body)) {
        return Err(Unmovable::new("its function is part of a shared library, not of the executable"));
    }
    Ok(Parcel { entry, body, site, pieces: pieces.0 })
}

/// Launches a task that has arrived.
///
/// # Safety
/// As for [`Entry::launch`]; this is the entry.
unsafe fn visit<A: Arg, R: Data, B: Body<A, R>>(visit: Visit) -> Result<AnyHandle, Unmovable> {
    let Visit { body, site, extra, mut pieces, reply } = visit;
    let arguments = Spare::new(A::unpack(&mut Unpacking { pieces: &mut pieces, site })?);
    if !pieces.is_empty() {
        return Err(Unmovable::new("there are more arguments than the task has"));
    }
    // SAFETY: the caller's promise.
    let body = unsafe { B::at(body) };
    let context = context::get();
    let identity = context.new_identity();
    let extra = Some(Box::new(extra));
    let task = TaskRef::new(arguments.into_inner(), body, site, identity, Gate::wiring(), extra);
    launch(context, &task, true);
    let handle: Handle<R> = Handle::from_task(task);
    let any = handle.erase();
    any.on_end(move || tell(handle, reply));
    Ok(any)
}

/// Tells of the end of a task, with its value in memory.
fn tell<R: Data>(handle: Handle<R>, reply: Box<dyn FnOnce(Result<Product, TaskError>) + Send>) {
    let product = |handle: &Handle<R>| Product { handle: handle.erase(), encode: encode::<R> };
    match handle.clone().try_share() {
        Err(error) => reply(Err(error)),
        Ok(Ok(shared)) => {
            reply(Ok(product(&handle)));
            drop(shared);
        }
        // It has left memory since.
        Ok(Err(bringing)) => {
            let brought = bringing.clone();
            bringing.erase().on_end(move || match handle.clone().share_brought(&brought) {
                Err(error) => reply(Err(error)),
                Ok(shared) => {
                    reply(Ok(product(&handle)));
                    drop(shared);
                }
            });
        }
    }
}

/// The value of a task whose result is an `R`, as bytes.
fn encode<R: Data>(handle: &AnyHandle) -> Result<Encoded, CodecError> {
    let name = handle.site().name;
    let Some(codec) = R::codec() else {
        return Err(CodecError::other(name, "it is pinned to the process that made it"));
    };
    let task = handle.task();
    debug_assert!(task.flags() & KEPT == 0 || handle.is_ended(), "the caller has it in memory");
    // SAFETY: it has ended well, with an `R`, and the caller keeps it in memory.
    let value = unsafe { task.value::<R>() };
    // SAFETY: as above.
    let value = unsafe { value.as_ref() };
    let encoded = panics::caught(|| codec.encode(value))
        .unwrap_or_else(|| Err(CodecError::other(name, "writing it panicked")))?;
    if encoded.can_leave() {
        return Ok(encoded);
    }
    Err(CodecError::other(name, "it holds handles, which exist only in the process that made them"))
}

/// A value that has come home.
pub(crate) fn decode<R: Data>(encoded: &Encoded) -> Result<R, Cause> {
    let codec =
        R::codec().ok_or_else(|| Cause::scheduling("its result cannot leave the process that made it"))?;
    let decoded = panics::caught(|| codec.decode(encoded));
    let decoded = decoded.ok_or_else(|| Cause::scheduling("reading its result panicked"))?;
    decoded.map_err(|error| Cause::scheduling(error.to_string()))
}

impl fmt::Display for Unmovable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unmovable {}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({:#x})", self.address())
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit")
            .field("site", &self.site)
            .field("pieces", &self.pieces)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Product").field(&self.handle).finish()
    }
}
