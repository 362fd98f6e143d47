//! Arguments that tell what they are before they are opened, so that a call is known again.

use super::TaskRef;
use super::access::AccessTo;
use super::arg::{Arg, Wiring};
use super::handle::AnyHandle;
use super::parcel::{Piece, Pieces, Unmovable, Unpacking};
use crate::panics;
use poniard_model::Data;
use poniard_model::codec::Encoded;
use std::ptr::{NonNull, addr_of_mut};

/// One part of the arguments of a call.
#[derive(Debug)]
pub enum Part {
    /// A value, as bytes.
    Value(Encoded),
    /// The result of a task.
    Result(AnyHandle),
    /// A function without captures, by the name of its type.
    Code(&'static str),
    /// What has no bytes, or cannot be told from another.
    Opaque,
}

/// A value as bytes, if it has some.
pub(crate) fn encoded<T: Data>(value: &T) -> Option<Encoded> {
    panics::caught(|| T::codec()?.encode(value).ok()).flatten().filter(Encoded::can_leave)
}

/// Arguments that open to themselves and, if that is wanted, to the results among them as bytes; one that has no bytes is
/// `None`.
#[derive(Debug)]
pub struct Told<A> {
    arguments: A,
    is_wanted: bool,
}

impl<A: Arg> Told<A> {
    /// These arguments, as they are.
    pub fn silent(arguments: A) -> Told<A> {
        Told { arguments, is_wanted: false }
    }

    /// These arguments, with the results among them as bytes.
    pub fn with_contents(arguments: A) -> Told<A> {
        Told { arguments, is_wanted: true }
    }

    /// Tells what the arguments are.
    pub fn parts(&self, visit: &mut dyn FnMut(Part)) {
        self.arguments.parts(visit);
    }
}

/// The arguments inside.
fn inside<A>(this: NonNull<Told<A>>) -> NonNull<A> {
    // SAFETY: a field of the argument, which the callers have; no reference is made.
    let arguments = unsafe { addr_of_mut!((*this.as_ptr()).arguments) };
    // SAFETY: a field of a live object is not null.
    unsafe { NonNull::new_unchecked(arguments) }
}

// SAFETY: the arguments inside keep their own promise, and are opened after they were looked at.
unsafe impl<A: Arg> Arg for Told<A> {
    type Out<'a> = (Vec<Option<Encoded>>, A::Out<'a>);
    const WAITS: bool = A::WAITS;
    const ACCESSES: bool = A::ACCESSES;
    unsafe fn wire(this: NonNull<Self>, wiring: &mut Wiring) {
        // SAFETY: the caller's promise.
        unsafe { A::wire(inside(this), wiring) }
    }
    unsafe fn open<'a>(this: NonNull<Self>) -> Self::Out<'a> {
        let mut contents = Vec::new();
        // SAFETY: the caller's promise; nothing is open yet.
        let told = unsafe { this.as_ref() };
        if told.is_wanted {
            // SAFETY: the inputs have ended well, and are in memory: the arguments are about to be opened.
            panics::contain(|| unsafe { told.arguments.contents(&mut |content| contents.push(content)) });
        }
        // SAFETY: the caller's promise.
        (contents, unsafe { A::open(inside(this)) })
    }
    unsafe fn discard(this: NonNull<Self>) {
        // SAFETY: the caller's promise.
        unsafe { A::discard(inside(this)) }
    }
    fn spare(&self) -> Option<Self> {
        Some(Told { arguments: self.arguments.spare()?, is_wanted: self.is_wanted })
    }
    fn inputs(&self, visit: &mut dyn FnMut(&TaskRef)) {
        self.arguments.inputs(visit);
    }
    fn reads(&self, visit: &mut dyn FnMut(&TaskRef)) {
        self.arguments.reads(visit);
    }
    unsafe fn accesses(this: NonNull<Self>, visit: &mut dyn FnMut(&AccessTo<'_>)) {
        // SAFETY: the caller's promise.
        unsafe { A::accesses(inside(this), visit) }
    }
    fn parts(&self, visit: &mut dyn FnMut(Part)) {
        self.arguments.parts(visit);
    }
    unsafe fn contents(&self, visit: &mut dyn FnMut(Option<Encoded>)) {
        // SAFETY: the caller's promise.
        unsafe { self.arguments.contents(visit) }
    }
    unsafe fn pack(&self, pieces: &mut Pieces) -> Result<(), Unmovable> {
        pieces.0.push(Piece::Value(Pieces::value(&self.is_wanted)?));
        // SAFETY: the caller's promise.
        unsafe { self.arguments.pack(pieces) }
    }
    fn unpack(pieces: &mut Unpacking<'_>) -> Result<Self, Unmovable> {
        let is_wanted = pieces.value()?;
        Ok(Told { arguments: A::unpack(pieces)?, is_wanted })
    }
}
