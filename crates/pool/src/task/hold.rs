//! Arguments that are handles: their tasks must have ended, and the function receives the handles.

use super::TaskRef;
use super::arg::{Arg, Dep, Many, Wiring};
use super::handle::Handle;
use super::parcel::{Pieces, Unmovable};
use poniard_model::Data;
use std::ptr::{NonNull, addr_of_mut};

/// A task that must have ended, and whose handle, as an `H`, the function receives instead of the value.
#[derive(Debug)]
pub struct Hold<T, H> {
    dep: Dep<T>,
    handle: H,
}

impl<T, H: Clone> Hold<T, H> {
    /// The argument that gives `handle` itself to the function, once the task `of` it has ended.
    pub fn new(of: Handle<T>, handle: H) -> Hold<T, H> {
        Hold { dep: Dep::new(of), handle }
    }
}

// SAFETY: the edge is the dependency's, which lies inside.
unsafe impl<T: Data, H: Clone + Send + Sync + 'static> Arg for Hold<T, H> {
    type Out<'a> = &'a H;
    const WAITS: bool = true;
    unsafe fn wire(this: NonNull<Self>, wiring: &mut Wiring) {
        // SAFETY: a field of the argument; no reference is made.
        let dep = unsafe { addr_of_mut!((*this.as_ptr()).dep) };
        // SAFETY: a field of a live object is not null.
        let dep = unsafe { NonNull::new_unchecked(dep) };
        // SAFETY: the caller's promise.
        unsafe { Dep::hang(dep, wiring) }
    }
    unsafe fn open<'a>(this: NonNull<Self>) -> Self::Out<'a> {
        // SAFETY: the caller's promise.
        &unsafe { this.as_ref() }.handle
    }
    unsafe fn discard(_: NonNull<Self>) {}
    fn spare(&self) -> Option<Self> {
        Some(Hold { dep: self.dep.again(), handle: self.handle.clone() })
    }
    fn inputs(&self, visit: &mut dyn FnMut(&TaskRef)) {
        self.dep.inputs(visit);
    }
    fn reads(&self, _: &mut dyn FnMut(&TaskRef)) {}
    unsafe fn pack(&self, _: &mut Pieces) -> Result<(), Unmovable> {
        Err(Unmovable::argument("a handle"))
    }
}

/// Several tasks that must have ended, and whose handles the function receives instead of the values.
#[derive(Debug)]
pub struct HoldMany<T, H> {
    many: Many<T>,
    handles: Vec<H>,
}

impl<T, H: Clone> HoldMany<T, H> {
    /// The argument that gives `handles` to the function, once the tasks `of` them have ended.
    pub fn new(of: impl IntoIterator<Item = Handle<T>>, handles: Vec<H>) -> HoldMany<T, H> {
        HoldMany { many: Many::new(of), handles }
    }
}

// SAFETY: the edges are the dependencies', which lie in a box of theirs.
unsafe impl<T: Data, H: Clone + Send + Sync + 'static> Arg for HoldMany<T, H> {
    type Out<'a> = &'a [H];
    const WAITS: bool = true;
    unsafe fn wire(this: NonNull<Self>, wiring: &mut Wiring) {
        // SAFETY: nobody else touches the argument yet.
        let many = NonNull::from(&mut unsafe { &mut *this.as_ptr() }.many);
        // SAFETY: the caller's promise.
        unsafe { Many::wire(many, wiring) }
    }
    unsafe fn open<'a>(this: NonNull<Self>) -> Self::Out<'a> {
        // SAFETY: the caller's promise.
        &unsafe { this.as_ref() }.handles
    }
    unsafe fn discard(_: NonNull<Self>) {}
    fn spare(&self) -> Option<Self> {
        Some(HoldMany { many: self.many.spare()?, handles: self.handles.clone() })
    }
    fn inputs(&self, visit: &mut dyn FnMut(&TaskRef)) {
        self.many.inputs(visit);
    }
    fn reads(&self, _: &mut dyn FnMut(&TaskRef)) {}
    unsafe fn pack(&self, _: &mut Pieces) -> Result<(), Unmovable> {
        Err(Unmovable::argument("a handle"))
    }
}
