//! Functions and closures as arguments: those that the task's own function calls.

use super::TaskRef;
use super::arg::{Arg, Wiring};
use super::parcel::{Pieces, Unmovable, Unpacking};
use super::told::Part;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;

/// Whether a closure has something that exists in its process only: bytes, or a destructor.
pub const fn has_captures<F>() -> bool {
    size_of::<F>() != 0 || std::mem::needs_drop::<F>()
}

fn free_of_captures<F>() -> Result<(), Unmovable> {
    if has_captures::<F>() { Err(Unmovable::argument("a closure with captures")) } else { Ok(()) }
}

/// A closure without captures.
///
/// # Safety
/// The process that has packed the call has one that this one may have as well.
unsafe fn of_nothing<F>() -> Result<F, Unmovable> {
    free_of_captures::<F>()?;
    // SAFETY: it has no bytes, so this reads none and each place is good; and dropping it does nothing. That there may be one is the
    // caller's promise.
    Ok(unsafe { NonNull::<F>::dangling().read() })
}

/// A closure; it runs once, and in this process if it has captures.
#[derive(Debug)]
pub struct Local<F>(ManuallyDrop<F>);

impl<F> Local<F> {
    /// The argument that gives `closure` to the function.
    #[inline]
    pub fn new(closure: F) -> Local<F> {
        Local(ManuallyDrop::new(closure))
    }
}

// SAFETY: the closure moves out once; there are no edges.
unsafe impl<F: Send + 'static> Arg for Local<F> {
    type Out<'a> = F;
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
        None
    }
    fn inputs(&self, _: &mut dyn FnMut(&TaskRef)) {}
    unsafe fn pack(&self, _: &mut Pieces) -> Result<(), Unmovable> {
        free_of_captures::<F>()
    }
    fn unpack(_: &mut Unpacking<'_>) -> Result<Self, Unmovable> {
        // SAFETY: the process that has packed the call had one, and has given it to this one.
        unsafe { of_nothing() }.map(Local::new)
    }
}

/// A function object that may be called again.
#[derive(Debug)]
pub struct Code<F>(pub(super) F);

impl<F: Clone> Code<F> {
    /// The argument that gives a copy of `function` to the task's body.
    pub fn new(function: F) -> Code<F> {
        Code(function)
    }
}

// SAFETY: there are no edges.
unsafe impl<F: Clone + Send + 'static> Arg for Code<F> {
    type Out<'a> = F;
    const WAITS: bool = false;
    unsafe fn wire(_: NonNull<Self>, _: &mut Wiring) {}
    unsafe fn open<'a>(this: NonNull<Self>) -> Self::Out<'a> {
        // SAFETY: the caller's promise.
        unsafe { this.as_ref() }.0.clone()
    }
    unsafe fn discard(_: NonNull<Self>) {}
    fn spare(&self) -> Option<Self> {
        Some(Code(self.0.clone()))
    }
    fn inputs(&self, _: &mut dyn FnMut(&TaskRef)) {}
    fn parts(&self, visit: &mut dyn FnMut(Part)) {
        let name = std::any::type_name::<F>();
        visit(if size_of::<F>() == 0 { Part::Code(name) } else { Part::Opaque });
    }
    unsafe fn pack(&self, _: &mut Pieces) -> Result<(), Unmovable> {
        match size_of::<F>() {
            0 => Ok(()),
            _ => Err(Unmovable::argument("a function that holds values (write the call in `spawn!`)")),
        }
    }
    fn unpack(_: &mut Unpacking<'_>) -> Result<Self, Unmovable> {
        if size_of::<F>() != 0 {
            return Err(Unmovable::argument("a function that holds values"));
        }
        // SAFETY: it has no bytes, so this reads none and each place is good. The process that has packed the call has one and has
        // sent a copy of it, as it would have sent one that has bytes.
        Ok(Code(unsafe { NonNull::<F>::dangling().read() }))
    }
}

/// A closure that several tasks call; they run in this process if it has captures.
pub struct Calls<F>(Arc<F>);

impl<F> Calls<F> {
    /// The argument that gives `closure` to the function.
    pub fn new(closure: Arc<F>) -> Calls<F> {
        Calls(closure)
    }
}

// SAFETY: there are no edges.
unsafe impl<F: Send + Sync + 'static> Arg for Calls<F> {
    type Out<'a> = Arc<F>;
    const WAITS: bool = false;
    unsafe fn wire(_: NonNull<Self>, _: &mut Wiring) {}
    unsafe fn open<'a>(this: NonNull<Self>) -> Self::Out<'a> {
        // SAFETY: the caller's promise.
        unsafe { this.as_ref() }.0.clone()
    }
    unsafe fn discard(_: NonNull<Self>) {}
    fn spare(&self) -> Option<Self> {
        Some(Calls(self.0.clone()))
    }
    fn inputs(&self, _: &mut dyn FnMut(&TaskRef)) {}
    unsafe fn pack(&self, _: &mut Pieces) -> Result<(), Unmovable> {
        free_of_captures::<F>()
    }
    fn unpack(_: &mut Unpacking<'_>) -> Result<Self, Unmovable> {
        // SAFETY: the process that has packed the call has one, and shares it with this one.
        unsafe { of_nothing() }.map(|closure| Calls(Arc::new(closure)))
    }
}

impl<F> fmt::Debug for Calls<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calls")
    }
}
