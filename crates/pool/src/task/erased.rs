//! Arguments that are results of tasks of whatever type.

use super::TaskRef;
use super::arg::{Arg, Dep, Wiring};
use super::handle::Handle;
use super::parcel::product;
use poniard_model::codec::Encoded;
use poniard_model::{CodecError, Data};
use std::ptr::NonNull;

/// The result of a task, which is in memory as long as this is, and which nobody looks at.
pub(crate) struct Present(Dep<()>);

impl Present {
    pub(crate) fn new(task: TaskRef) -> Present {
        Present(Dep::of_any(task))
    }
}

// SAFETY: it is a `Dep` whose value is not touched.
unsafe impl Arg for Present {
    type Out<'a> = ();
    const WAITS: bool = true;
    unsafe fn wire(this: NonNull<Self>, wiring: &mut Wiring) {
        // SAFETY: the caller's promise; `Present` is a `Dep` and nothing else.
        unsafe { Dep::hang(this.cast::<Dep<()>>(), wiring) }
    }
    unsafe fn open<'a>(_: NonNull<Self>) -> Self::Out<'a> {}
    unsafe fn discard(_: NonNull<Self>) {}
    fn spare(&self) -> Option<Self> {
        Some(Present(self.0.again()))
    }
    fn inputs(&self, visit: &mut dyn FnMut(&TaskRef)) {
        self.0.inputs(visit);
    }
}

/// Makes bytes of the result of a task.
///
/// # Safety
/// The task has ended well, its result is of the type that this is for, and it is in its slot and stays there meanwhile.
pub(super) type Product = unsafe fn(&TaskRef) -> Result<Encoded, CodecError>;

/// The result of a task, which the function receives as bytes for another process, or why it has none.
pub(crate) struct AsBytes {
    dep: Dep<()>,
    product: Product,
}

impl AsBytes {
    pub(crate) fn of<T: Data>(handle: Handle<T>) -> AsBytes {
        AsBytes { dep: Dep::of_any(handle.into_task()), product: product_of::<T> }
    }

    /// Of a task whose result may be large.
    ///
    /// # Panics
    /// When values of the result's type hold no memory outside of themselves.
    pub(crate) fn of_large(task: TaskRef) -> AsBytes {
        let product = task.product_of_large();
        AsBytes { dep: Dep::of_any(task), product }
    }
}

// SAFETY: it is a `Dep`, beside a function for values of its task's type.
unsafe impl Arg for AsBytes {
    type Out<'a> = Result<Encoded, CodecError>;
    const WAITS: bool = true;
    unsafe fn wire(this: NonNull<Self>, wiring: &mut Wiring) {
        // SAFETY: a field of the argument; no reference is made.
        let dep = unsafe { std::ptr::addr_of_mut!((*this.as_ptr()).dep) };
        // SAFETY: a field of a live object is not null.
        let dep = unsafe { NonNull::new_unchecked(dep) };
        // SAFETY: the caller's promise.
        unsafe { Dep::hang(dep, wiring) }
    }
    unsafe fn open<'a>(this: NonNull<Self>) -> Self::Out<'a> {
        // SAFETY: the caller's promise.
        let AsBytes { dep, product } = unsafe { this.as_ref() };
        // SAFETY: the task has ended well, with a value of the type of `product`, and while we refer to it nobody takes that.
        unsafe { product(dep.task()) }
    }
    unsafe fn discard(_: NonNull<Self>) {}
    fn spare(&self) -> Option<Self> {
        Some(AsBytes { dep: self.dep.again(), product: self.product })
    }
    fn inputs(&self, visit: &mut dyn FnMut(&TaskRef)) {
        self.dep.inputs(visit);
    }
}

/// # Safety
/// As for [`Product`]; the result is an `R`.
pub(super) unsafe fn product_of<R: Data>(task: &TaskRef) -> Result<Encoded, CodecError> {
    // SAFETY: the caller's promise.
    let value = unsafe { task.value::<R>() };
    // SAFETY: as above.
    product(unsafe { value.as_ref() }, std::any::type_name::<R>())
}
