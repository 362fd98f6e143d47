//! How the value in a task's slot is measured, written, and moved out and in again, whatever its type.

use super::erased::{Product, product_of};
use super::handle::{AnyHandle, Handle};
use super::kept::Moved;
use super::{Header, KEPT, TaskRef};
use poniard_model::codec::{Encoded, Lend};
use poniard_model::{CodecError, Data};
use std::any::{Any, TypeId};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// What can be done with values of one type.
pub(crate) struct KeepTable {
    heap_bytes: unsafe fn(NonNull<Header>) -> usize,
    encode: unsafe fn(NonNull<Header>, Lend<'_>) -> Result<Encoded, CodecError>,
    decode: fn(&Encoded) -> Result<Moved, CodecError>,
    move_out: unsafe fn(NonNull<Header>) -> Moved,
    move_in: unsafe fn(NonNull<Header>, Moved),
    product: Product,
    type_id: fn() -> TypeId,
}

struct Table<R>(PhantomData<R>);

impl<R: Data> Table<R> {
    const TABLE: &'static KeepTable = &KeepTable {
        heap_bytes: heap_bytes::<R>,
        encode: encode::<R>,
        decode: decode::<R>,
        move_out: move_out::<R>,
        move_in: move_in::<R>,
        product: product_of::<R>,
        type_id: TypeId::of::<R>,
    };
}

impl KeepTable {
    /// The table of a type; `None` when its values hold no memory outside of themselves.
    pub(super) const fn of<R: Data>() -> Option<&'static KeepTable> {
        if std::mem::needs_drop::<R>() { Some(Table::<R>::TABLE) } else { None }
    }
}

impl TaskRef {
    /// Whether the task mostly waits: it holds no processor while it does.
    pub(crate) fn is_beside(&self) -> bool {
        self.vtable.detaches || self.extra().is_some_and(|extra| extra.demand.share == 0 || extra.is_away())
    }

    /// Whether the result may hold memory outside of the task.
    #[inline]
    pub(crate) fn may_be_large(&self) -> bool {
        self.vtable.keep.is_some()
    }

    /// Whether the last result from where this task was spawned was large. Of most types no result is, and the site, whose
    /// memory is written to now and then, is not looked at.
    #[inline]
    pub(crate) fn makes_much(&self) -> bool {
        self.may_be_large() && self.site.result_bytes().is_some_and(|bytes| bytes != 0)
    }

    /// Bytes of memory that the result holds outside of the task, about.
    ///
    /// # Safety
    /// The value is in its slot, and stays there meanwhile.
    pub(crate) unsafe fn heap_bytes(&self) -> usize {
        // SAFETY: the caller's promise.
        self.vtable.keep.map_or(0, |keep| unsafe { (keep.heap_bytes)(self.0) })
    }

    /// Writes the value; `lend` makes buffers of memory that stays in the slot.
    ///
    /// # Safety
    /// The value is in its slot, and stays there for as long as what `lend` made is used.
    pub(crate) unsafe fn encode_value(&self, lend: Lend<'_>) -> Result<Encoded, CodecError> {
        // SAFETY: the caller's promise.
        let encoded = unsafe { (self.keep().encode)(self.0, lend) }?;
        if encoded.can_leave() {
            return Ok(encoded);
        }
        Err(CodecError::other(self.site.name, "its result holds handles, which exist only in this process"))
    }

    /// Reads a value of the result's type.
    pub(crate) fn decode_value(&self, encoded: &Encoded) -> Result<Moved, CodecError> {
        (self.keep().decode)(encoded)
    }

    /// Moves the value out of its slot.
    ///
    /// # Safety
    /// The value is in its slot, nobody else reads it, and nobody will before another one moves in.
    pub(crate) unsafe fn move_value_out(&self) -> Moved {
        // SAFETY: the caller's promise.
        unsafe { (self.keep().move_out)(self.0) }
    }

    /// Moves a value of the result's type into the slot.
    ///
    /// # Safety
    /// The slot is empty, and nobody reads it.
    pub(crate) unsafe fn move_value_in(&self, value: Moved) {
        // SAFETY: the caller's promise.
        unsafe { (self.keep().move_in)(self.0, value) }
    }

    /// What makes bytes of the result for another process.
    ///
    /// # Panics
    /// When values of the result's type hold no memory outside of themselves.
    pub(super) fn product_of_large(&self) -> Product {
        self.keep().product
    }

    /// The type of a result that may be large.
    fn type_of_large(&self) -> Option<TypeId> {
        self.vtable.keep.map(|keep| (keep.type_id)())
    }

    fn keep(&self) -> &'static KeepTable {
        self.vtable.keep.expect("only values that hold memory are kept")
    }
}

impl AnyHandle {
    /// The handle with its type, if the result is a `T` and may be large.
    pub(crate) fn typed<T: Data>(&self) -> Option<Handle<T>> {
        let is_such = self.task().type_of_large() == Some(TypeId::of::<T>());
        is_such.then(|| Handle::from_task(self.task().clone()))
    }

    /// Whether the result counts for the budget.
    pub fn is_kept(&self) -> bool {
        self.task().flags() & KEPT != 0
    }
}

/// # Safety
/// The task has an `R` in its slot, which stays there meanwhile.
unsafe fn heap_bytes<R: Data>(task: NonNull<Header>) -> usize {
    let task = ManuallyDrop::new(TaskRef(task));
    // SAFETY: the caller's promise.
    let value = unsafe { task.value::<R>() };
    // SAFETY: as above.
    let value = unsafe { value.as_ref() };
    crate::panics::caught(|| value.heap_bytes()).unwrap_or(0)
}

/// # Safety
/// As for [`TaskRef::encode_value`]; the result is an `R`.
unsafe fn encode<R: Data>(task: NonNull<Header>, lend: Lend<'_>) -> Result<Encoded, CodecError> {
    let task = ManuallyDrop::new(TaskRef(task));
    // SAFETY: the caller's promise.
    let value = unsafe { task.value::<R>() };
    // SAFETY: as above.
    let value = unsafe { value.as_ref() };
    match R::codec() {
        Some(codec) => codec.encode_lending(value, lend),
        None => Err(CodecError::other(task.site.name, "its result is pinned to this process")),
    }
}

fn decode<R: Data>(encoded: &Encoded) -> Result<Moved, CodecError> {
    let codec = R::codec().expect("it was written by its codec");
    Ok(Box::new(codec.decode(encoded)?))
}

/// # Safety
/// As for [`TaskRef::move_value_out`]; the result is an `R`.
unsafe fn move_out<R: Data>(task: NonNull<Header>) -> Moved {
    let task = ManuallyDrop::new(TaskRef(task));
    // SAFETY: the caller's promise.
    let value = unsafe { task.value::<R>() };
    // SAFETY: it moves out once: the slot is empty from now on.
    Box::new(unsafe { value.read() })
}

/// # Safety
/// As for [`TaskRef::move_value_in`]; the result is an `R`.
unsafe fn move_in<R: Data>(task: NonNull<Header>, value: Moved) {
    let value: Box<dyn Any> = value;
    let value = value.downcast::<R>().expect("the table is that of the task's type");
    let task = ManuallyDrop::new(TaskRef(task));
    // SAFETY: the caller's promise: it is empty, and nobody reads it.
    unsafe { task.put_value(*value) };
}
