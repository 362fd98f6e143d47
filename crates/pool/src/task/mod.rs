//! The task object: one allocation that holds everything about a task.
//!
//! ```text
//! Header (48 bytes) │ slot: the result, or the error │ body │ arguments, with the edges to their tasks
//! ```
//!
//! References are counted like an `Arc`'s. One belongs to the engine until the task has ended (it moves from the
//! inputs' edges to the queue entry to the running thread), one to each [`Handle`](crate::Handle) and to each argument
//! of another task. `README.md` tells who may touch which part when.

pub(crate) mod access;
pub(crate) mod arg;
mod attempt;
pub(crate) mod closure;
pub(crate) mod datum;
pub(crate) mod erased;
pub(crate) mod extra;
pub(crate) mod foreign;
pub(crate) mod handle;
pub(crate) mod hold;
mod keep;
pub(crate) mod kept;
mod lineage;
pub(crate) mod opened;
pub(crate) mod parcel;
pub(crate) mod passage;
pub(crate) mod promised;
pub(crate) mod ticket;
pub(crate) mod told;
pub(crate) mod traveller;
pub(crate) mod watch;
pub(crate) mod weak;

use crate::edge::{Dependents, Ended};
use crate::epoch::{self, Epoch};
use crate::gate::Gate;
use crate::me::me;
use crate::memory::{self, Class};
use crate::panics;
use crate::sync::AtomicU32;
use access::AccessTo;
use arg::{Arg, Wiring};
use extra::Extra;
use keep::KeepTable;
use opened::Opened;
use parcel::Packed;
use poniard_model::{Cause, Data, FailedTask, Site, TaskError, TaskId};
use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit, offset_of};
use std::ops::Deref;
use std::ptr::{NonNull, addr_of_mut};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use told::Part;

/// Somebody wants the task to stop.
pub(crate) const CANCELLED: u32 = 1;
/// The value was moved out by the last task that wanted it.
pub(crate) const TAKEN: u32 = 1 << 1;
/// The task is placed by the board: it has a priority, a scope, or holds other than one processor.
pub(crate) const PLACED: u32 = 1 << 2;
/// The runtime was halted while the task ran.
pub(crate) const HALTED: u32 = 1 << 3;
/// The value is large: the keeper may send it away, and whoever reads it has it pinned.
pub(crate) const KEPT: u32 = 1 << 4;
/// The body has left its processor and will end the task later.
pub(crate) const DETACHED: u32 = 1 << 5;
/// The attempt has run for longer than its limit.
pub(crate) const TIMED_OUT: u32 = 1 << 6;
/// The keeper lets the task in before it runs: it reads large values, or is to make one.
pub(crate) const GATED: u32 = 1 << 7;
/// There are handles that do not keep the task.
pub(crate) const FINDABLE: u32 = 1 << 8;

/// The task runs in this process: it could not be packed.
pub(crate) const HOME: u32 = 1 << 9;

const FLAG_BITS: u32 = 10;
const FLAGS: u32 = (1 << FLAG_BITS) - 1;
/// Above them the epoch, and above that the id: 2^46 of them.
const ID_SHIFT: u32 = FLAG_BITS + Epoch::BITS;

/// Who a new task is: its id and its epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) id: TaskId,
    pub(crate) epoch: Epoch,
}

impl Identity {
    #[inline]
    fn pack(self) -> u64 {
        self.id.0 << ID_SHIFT | u64::from(self.epoch) << FLAG_BITS
    }
}

/// The part of a task that does not depend on its types.
#[repr(C)]
pub struct Header {
    vtable: &'static VTable,
    pub(crate) site: &'static Site,
    pub(crate) dependents: Dependents,
    /// What only some tasks have. Set before the task is launched.
    extra: OnceLockPtr,
    pub(crate) gate: Gate,
    references: AtomicU32,
    /// The identity, above the flags: one word less, and a task without arguments is one cache line.
    identity_and_flags: AtomicU64,
}

/// A box that is set at most once, before the task is shared with the engine: one word, where `OnceLock` has two.
struct OnceLockPtr(crate::sync::AtomicPtr<Extra>);

/// What is told of each input.
type Visit<'a> = &'a mut dyn FnMut(&TaskRef);
/// What is told of each access.
type VisitAccess<'a> = &'a mut dyn FnMut(&AccessTo<'_>);

/// What a task can do, by its types.
struct VTable {
    class: Class,
    slot: usize,
    run: unsafe fn(&TaskRef) -> Ran,
    wire: unsafe fn(NonNull<Header>, &mut Wiring),
    drop_arguments: unsafe fn(NonNull<Header>),
    /// `None` when the result needs no destructor.
    drop_value: Option<unsafe fn(NonNull<Header>)>,
    inputs: unsafe fn(NonNull<Header>, Visit<'_>),
    reads: unsafe fn(NonNull<Header>, Visit<'_>),
    parts: unsafe fn(NonNull<Header>, &mut dyn FnMut(Part)),
    /// `None` when results hold no memory outside of the task.
    keep: Option<&'static KeepTable>,
    /// Whether the body leaves its processor.
    detaches: bool,
    /// `None` when the arguments give access to no data.
    accesses: Option<unsafe fn(NonNull<Header>, VisitAccess<'_>)>,
}

/// What came of one attempt.
#[derive(Debug)]
pub(crate) enum Ran {
    /// The value is in the slot.
    Done,
    Failed(Cause),
    /// The attempt failed, and the arguments are in place for another one.
    Again(Cause),
    /// A [`Completion`] will end the task.
    Detached,
    /// The task runs in another process: it was packed, and its arguments are in place.
    Packed(Box<Packed>),
    /// Somebody else has ended the task meanwhile.
    TooLate,
}

/// What a task runs.
pub(crate) trait Body<A: Arg, R>: Copy + Send + 'static {
    /// Whether the arguments leave the task when it runs.
    const DETACHES: bool = false;

    /// Where its code lies.
    fn address(self) -> usize;

    /// The body whose code lies there.
    ///
    /// # Safety
    /// It is the address of a body of this type.
    unsafe fn at(address: usize) -> Self;

    /// # Safety
    /// The inputs have ended well, and the arguments are opened for the first time.
    unsafe fn run(self, task: &TaskRef, arguments: NonNull<A>) -> Option<Result<R, Cause>>;
}

/// The function of a task: it takes the opened arguments and gives the result.
pub type Function<A, R> = for<'a> fn(<A as Arg>::Out<'a>) -> Result<R, Cause>;

/// A [`Function`] as a body.
#[repr(transparent)]
pub(crate) struct Call<A: Arg, R>(pub(crate) Function<A, R>);

impl<A: Arg, R: 'static> Body<A, R> for Call<A, R> {
    fn address(self) -> usize {
        self.0 as usize
    }

    unsafe fn at(address: usize) -> Self {
        // SAFETY: the caller's promise: a function of this type lies there.
        Call(unsafe { std::mem::transmute::<usize, Function<A, R>>(address) })
    }

    #[inline]
    unsafe fn run(self, _: &TaskRef, arguments: NonNull<A>) -> Option<Result<R, Cause>> {
        // SAFETY: the caller's promise.
        Some((self.0)(unsafe { A::open(arguments) }))
    }
}

impl<A: Arg, R> Clone for Call<A, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Arg, R> Copy for Call<A, R> {}

#[repr(C)]
struct Task<A, R, B> {
    header: Header,
    slot: UnsafeCell<Slot<R>>,
    body: B,
    arguments: UnsafeCell<ManuallyDrop<A>>,
}

/// Room for the result and for the error.
#[repr(C)]
union Slot<R> {
    value: ManuallyDrop<MaybeUninit<R>>,
    error: ManuallyDrop<MaybeUninit<TaskError>>,
}

/// A task whose result is an `R`, whatever its arguments: the slot's place does not depend on them.
#[repr(C)]
struct Front<R> {
    header: Header,
    slot: UnsafeCell<Slot<R>>,
}

struct Table<A, R, B>(PhantomData<(A, R, B)>);

impl<A: Arg, R: Data, B: Body<A, R>> Table<A, R, B> {
    const TABLE: &'static VTable = &VTable {
        class: Class::of(Layout::new::<Task<A, R, B>>()),
        slot: offset_of!(Front<R>, slot),
        run: attempt::run::<A, R, B>,
        wire: wire::<A, R, B>,
        drop_arguments: drop_arguments::<A, R, B>,
        drop_value: if std::mem::needs_drop::<R>() { Some(drop_value::<R>) } else { None },
        inputs: inputs::<A, R, B>,
        reads: reads::<A, R, B>,
        parts: parts::<A, R, B>,
        keep: KeepTable::of::<R>(),
        detaches: B::DETACHES,
        accesses: if A::ACCESSES { Some(accesses::<A, R, B>) } else { None },
    };
}

/// A counted reference to a task.
#[repr(transparent)]
pub struct TaskRef(NonNull<Header>);

// SAFETY: results are `Send + Sync`, arguments `Send`, and the header is atomics.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// Makes a task object with two references: the engine's, which stays with the object until somebody
    /// takes it with [`TaskRef::from_raw`], and the returned one.
    #[inline]
    pub(crate) fn new<A: Arg, R: Data, B: Body<A, R>>(
        arguments: A,
        body: B,
        site: &'static Site,
        identity: Identity,
        gate: Gate,
        extra: Option<Box<Extra>>,
    ) -> TaskRef {
        let memory = memory::take(const { Class::of(Layout::new::<Task<A, R, B>>()) });
        let flags = extra.as_ref().map_or(0, |extra| extra.flags());
        let task = memory.cast::<Task<A, R, B>>();
        let header = Header {
            vtable: Table::<A, R, B>::TABLE,
            site,
            dependents: Dependents::new(),
            extra: OnceLockPtr(crate::sync::AtomicPtr::new(
                extra.map_or(std::ptr::null_mut(), Box::into_raw),
            )),
            gate,
            references: AtomicU32::new(2),
            identity_and_flags: AtomicU64::new(identity.pack() | u64::from(flags)),
        };
        // SAFETY: fresh memory of the task's layout; the slot stays unwritten until the task ends.
        unsafe {
            task.write(Task {
                header,
                slot: UnsafeCell::new(Slot { value: ManuallyDrop::new(MaybeUninit::uninit()) }),
                body,
                arguments: UnsafeCell::new(ManuallyDrop::new(arguments)),
            });
        }
        TaskRef(task.cast())
    }

    pub(crate) fn as_raw(&self) -> *mut Header {
        self.0.as_ptr()
    }

    pub(crate) fn as_non_null(&self) -> NonNull<Header> {
        self.0
    }

    /// Gives the reference up without counting it down.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut Header {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// # Safety
    /// The caller owns a reference to the task, and hands it over.
    #[inline]
    pub(crate) unsafe fn from_raw(task: *mut Header) -> TaskRef {
        // SAFETY: a task's address is not null.
        TaskRef(unsafe { NonNull::new_unchecked(task) })
    }

    /// Whether this is the only reference, and stays so.
    pub(crate) fn is_only(&self) -> bool {
        // Acquire: pairs with the Release of the drops that went before; what they read is read.
        self.references.load(Acquire) == 1 && self.flags() & FINDABLE == 0
    }

    /// Runs one attempt.
    ///
    /// # Safety
    /// The caller has claimed the task, and its inputs have ended well.
    #[inline]
    pub(crate) unsafe fn run(&self) -> Ran {
        // SAFETY: the caller's promise.
        unsafe { (self.vtable.run)(self) }
    }

    /// Hangs the task on its inputs.
    ///
    /// # Safety
    /// The gate is in its wiring state, and only the caller touches the arguments.
    pub(crate) unsafe fn wire(&self, wiring: &mut Wiring) {
        // SAFETY: the caller's promise.
        unsafe { (self.vtable.wire)(self.0, wiring) }
    }

    /// Drops the arguments of a task that has not run.
    ///
    /// # Safety
    /// The caller has the right to them: see `Satisfied::Spent` and `Claim::Won`.
    pub(crate) unsafe fn drop_arguments(&self) {
        // SAFETY: the caller's promise.
        unsafe { (self.vtable.drop_arguments)(self.0) }
        if let Some(extra) = self.extra() {
            extra.forget_befores();
        }
    }

    /// Visits the tasks that the arguments refer to.
    ///
    /// # Safety
    /// The arguments are still there: the task is held, or the caller builds it.
    pub(crate) unsafe fn inputs(&self, visit: &mut dyn FnMut(&TaskRef)) {
        // SAFETY: the caller's promise.
        unsafe { (self.vtable.inputs)(self.0, visit) }
    }

    /// Visits the tasks whose values the body reads.
    ///
    /// # Safety
    /// As for [`TaskRef::inputs`].
    pub(crate) unsafe fn reads(&self, visit: &mut dyn FnMut(&TaskRef)) {
        // SAFETY: the caller's promise.
        unsafe { (self.vtable.reads)(self.0, visit) }
    }

    /// Tells what the arguments are.
    ///
    /// # Safety
    /// As for [`TaskRef::inputs`].
    pub(crate) unsafe fn parts(&self, visit: &mut dyn FnMut(Part)) {
        // SAFETY: the caller's promise.
        unsafe { (self.vtable.parts)(self.0, visit) }
    }

    /// Visits the data that the arguments of `task` give access to.
    ///
    /// # Safety
    /// The task is alive, and its arguments stay where they are: it waits, or is in the middle of its function. Of a
    /// task whose arguments have left with its body nothing is visited.
    pub(crate) unsafe fn accesses(task: NonNull<Header>, visit: &mut dyn FnMut(&AccessTo<'_>)) {
        // SAFETY: the caller's promise.
        let header = unsafe { task.as_ref() };
        if let Some(accesses) = header.vtable.accesses
            && header.flags() & DETACHED == 0
        {
            // SAFETY: the caller's promise.
            unsafe { accesses(task, visit) }
        }
    }

    /// The result of a task that has ended well.
    ///
    /// # Safety
    /// `R` is the task's result type, it has ended with `Ended::Done`, and the value was not taken.
    #[inline]
    pub(crate) unsafe fn value<R>(&self) -> NonNull<R> {
        let front = self.0.cast::<Front<R>>();
        // SAFETY: `Front<R>` is a prefix of the task, which the reference keeps alive.
        let slot = unsafe { addr_of_mut!((*front.as_ptr()).slot) };
        // SAFETY: a field of a live object is not null.
        unsafe { NonNull::new_unchecked(slot.cast::<R>()) }
    }

    /// Writes the result.
    ///
    /// # Safety
    /// `R` is the task's result type, and the caller has the right to end the task, for the first time.
    #[inline]
    pub(crate) unsafe fn put_value<R>(&self, value: R) {
        // SAFETY: nobody reads the slot before the task is sealed.
        let slot = unsafe { self.value::<R>() };
        // SAFETY: the slot is writable and holds nothing yet.
        unsafe { slot.write(value) };
    }

    /// Drops the result again.
    ///
    /// # Safety
    /// The value is in the slot, the task is not sealed, and the caller has the right to end it.
    pub(crate) unsafe fn discard_value(&self) {
        if let Some(drop_value) = self.vtable.drop_value {
            // SAFETY: the caller's promise.
            panics::contain(|| unsafe { drop_value(self.0) });
        }
    }

    fn error_slot(&self) -> NonNull<TaskError> {
        // SAFETY: the slot lies inside the object, and has room for an error.
        unsafe { self.0.cast::<u8>().add(self.vtable.slot) }.cast()
    }

    /// Writes the error.
    ///
    /// # Safety
    /// The caller has the right to end the task, for the first time.
    pub(crate) unsafe fn put_error(&self, error: TaskError) {
        // SAFETY: as for `put_value`.
        unsafe { self.error_slot().write(error) };
    }

    /// The error of a task that has failed.
    #[inline]
    pub(crate) fn error(&self) -> Option<&TaskError> {
        if self.dependents.ended() != Some(Ended::Failed) {
            return None;
        }
        // SAFETY: a task that was sealed as failed has an error in its slot, for good.
        Some(unsafe { self.error_slot().as_ref() })
    }

    #[inline(never)]
    fn free(task: NonNull<Header>) {
        let task = ManuallyDrop::new(TaskRef(task));
        if task.flags() & FINDABLE != 0 && !weak::leave(&task) {
            return;
        }
        match task.dependents.ended() {
            Some(Ended::Done) if task.flags() & KEPT != 0 => kept::release(task.0),
            Some(Ended::Done) if task.flags() & TAKEN == 0 => {
                // SAFETY: the last reference is gone, and the value is in the slot.
                unsafe { TaskRef::dismantle(task.0, true) };
            }
            Some(Ended::Failed) => {
                // SAFETY: the last reference is gone, and the error is in the slot.
                unsafe { task.error_slot().drop_in_place() };
                // SAFETY: the last reference is gone.
                unsafe { TaskRef::dismantle(task.0, false) };
            }
            // Taken; or held and never launched.
            // SAFETY: the last reference is gone.
            _ => unsafe { TaskRef::dismantle(task.0, false) },
        }
    }

    /// Frees the object, and drops the value if it is in its slot.
    ///
    /// # Safety
    /// The last reference is gone; the value is in its slot if `has_value` says so, and an error is not.
    pub(crate) unsafe fn dismantle(task: NonNull<Header>, has_value: bool) {
        let task = ManuallyDrop::new(TaskRef(task));
        let table = task.vtable;
        if let (true, Some(drop_value)) = (has_value, table.drop_value) {
            // A destructor of the user's must not take the thread down that happens to run it.
            // SAFETY: the caller's promise.
            panics::contain(|| unsafe { drop_value(task.0) });
        }
        let extra = task.extra.0.load(Acquire);
        if !extra.is_null() {
            // What the user asked for may have destructors, too.
            // SAFETY: it came from `Box::into_raw`, and the last reference is gone.
            panics::contain(|| drop(unsafe { Box::from_raw(extra) }));
        }
        // SAFETY: it came from `memory::take` with this class, and the last reference is gone.
        unsafe { memory::give(task.0.cast(), table.class) };
    }
}

impl Header {
    /// The task's id.
    #[inline]
    pub(crate) fn id(&self) -> TaskId {
        TaskId(self.identity_and_flags.load(Relaxed) >> ID_SHIFT)
    }

    /// The epoch that the task belongs to.
    #[inline]
    pub(crate) fn epoch(&self) -> Epoch {
        (self.identity_and_flags.load(Relaxed) >> FLAG_BITS) as Epoch
    }

    /// Moves the task to another epoch. Only who launches it may.
    pub(crate) fn enter(&self, epoch: Epoch) {
        // Relaxed: the launch publishes it. Flags may be set meanwhile, and nobody else changes these bits.
        self.identity_and_flags.fetch_xor(u64::from(self.epoch() ^ epoch) << FLAG_BITS, Relaxed);
    }

    /// Whether there was a halt that ends the task.
    #[inline]
    pub(crate) fn is_halted(&self) -> bool {
        self.epoch() != epoch::now()
    }

    #[inline]
    pub(crate) fn flags(&self) -> u32 {
        self.identity_and_flags.load(Relaxed) as u32 & FLAGS
    }

    pub(crate) fn set_flags(&self, flags: u32) {
        // AcqRel: whoever sees a flag sees what was done before it was set.
        self.identity_and_flags.fetch_or(u64::from(flags), AcqRel);
    }

    pub(crate) fn clear_flags(&self, flags: u32) {
        self.identity_and_flags.fetch_and(!u64::from(flags), AcqRel);
    }

    /// What only some tasks have.
    #[inline]
    pub(crate) fn extra(&self) -> Option<&Extra> {
        let extra = self.extra.0.load(Acquire);
        // SAFETY: set once, and freed with the task.
        unsafe { extra.as_ref() }
    }

    /// Gives a held task its extra; false when it has one.
    pub(crate) fn set_extra(&self, extra: Box<Extra>) -> bool {
        let flags = extra.flags();
        let extra = Box::into_raw(extra);
        let set = self.extra.0.compare_exchange(std::ptr::null_mut(), extra, Release, Relaxed);
        if set.is_err() {
            // SAFETY: it was made above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(extra) });
        } else if flags != 0 {
            self.set_flags(flags);
        }
        set.is_ok()
    }

    /// Takes the right to end a claimed task, where more than one party may: it runs and may time out,
    /// or its body is detached.
    pub(crate) fn resolve(&self) -> bool {
        self.extra().is_none_or(Extra::resolve)
    }

    /// The name that people see.
    pub(crate) fn name(&self) -> Arc<str> {
        self.extra().and_then(|extra| extra.name.clone()).unwrap_or_else(|| self.site.name.into())
    }

    /// This task, for an error.
    pub(crate) fn as_failed(&self, attempt: u32) -> FailedTask {
        FailedTask { id: self.id(), name: self.name(), site: self.site, worker: me(), attempt }
    }

    /// Whether all attempts of the task are made in the process that it goes to, and their time is taken there: at the home of data it
    /// keeps its turn from the first to the last, and after an attempt whose time was over the next one waits for its end.
    pub(crate) fn is_tried_there(&self) -> bool {
        let is_timed = |extra: &Extra| extra.timeout.is_some() && extra.retries.is_some();
        self.is_away() && (self.vtable.accesses.is_some() || self.extra().is_some_and(is_timed))
    }

    /// Whether the task runs in another process.
    pub(crate) fn is_away(&self) -> bool {
        self.extra().is_some_and(Extra::is_away)
    }

    /// The attempt that runs or ran last, for a task that was started.
    pub(crate) fn attempt(&self) -> u32 {
        self.extra().map_or(1, |extra| extra.attempt.load(Relaxed))
    }
}

impl Deref for TaskRef {
    type Target = Header;
    #[inline]
    fn deref(&self) -> &Header {
        // SAFETY: the reference keeps the object alive.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for TaskRef {
    #[inline]
    fn clone(&self) -> TaskRef {
        // Relaxed: the caller has a reference already. 2^32 handles of one task do not fit into memory.
        self.references.fetch_add(1, Relaxed);
        TaskRef(self.0)
    }
}

impl Drop for TaskRef {
    #[inline]
    fn drop(&mut self) {
        // The only owner needs no read-modify-write. Acquire and AcqRel: the last one sees what all did.
        if self.references.load(Acquire) == 1 || self.references.fetch_sub(1, AcqRel) == 1 {
            TaskRef::free(self.0);
        }
    }
}

impl PartialEq for TaskRef {
    fn eq(&self, other: &TaskRef) -> bool {
        self.0 == other.0
    }
}

impl fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.id(), self.name())
    }
}

/// # Safety
/// `task` is a `Task<A, R, B>`.
#[inline]
unsafe fn arguments<A, R, B>(task: NonNull<Header>) -> NonNull<A> {
    let task = task.cast::<Task<A, R, B>>();
    // SAFETY: the caller's promise; no reference is made.
    let cell = unsafe { addr_of_mut!((*task.as_ptr()).arguments) };
    // SAFETY: a field of a live object is not null; the wrappers are transparent.
    unsafe { NonNull::new_unchecked(cell.cast::<A>()) }
}

/// # Safety
/// As for [`TaskRef::wire`]; the task is a `Task<A, R, B>`.
unsafe fn wire<A: Arg, R, B>(task: NonNull<Header>, wiring: &mut Wiring) {
    // SAFETY: the caller's promise.
    let arguments = unsafe { arguments::<A, R, B>(task) };
    // SAFETY: the caller's promise; the arguments stay in place until their edges are taken back.
    unsafe { A::wire(arguments, wiring) }
}

/// # Safety
/// As for [`TaskRef::drop_arguments`]; the task is a `Task<A, R, B>`.
unsafe fn drop_arguments<A: Arg, R, B>(task: NonNull<Header>) {
    panics::contain(|| {
        // SAFETY: the caller's promise.
        let arguments = unsafe { arguments::<A, R, B>(task) };
        // SAFETY: the arguments move out, once.
        drop(Opened::new(unsafe { arguments.read() }));
    });
}

/// # Safety
/// The task has an `R` in its slot, which nobody uses again.
unsafe fn drop_value<R>(task: NonNull<Header>) {
    let task = ManuallyDrop::new(TaskRef(task));
    // SAFETY: the caller's promise.
    let value = unsafe { task.value::<R>() };
    // SAFETY: the caller's promise.
    unsafe { value.drop_in_place() };
}

/// # Safety
/// As for [`TaskRef::inputs`]; the task is a `Task<A, R, B>`.
unsafe fn inputs<A: Arg, R, B>(task: NonNull<Header>, visit: &mut dyn FnMut(&TaskRef)) {
    // SAFETY: the caller's promise.
    let arguments = unsafe { arguments::<A, R, B>(task) };
    // SAFETY: the caller's promise.
    unsafe { arguments.as_ref() }.inputs(visit);
}

/// # Safety
/// As for [`TaskRef::inputs`]; the task is a `Task<A, R, B>`.
unsafe fn reads<A: Arg, R, B>(task: NonNull<Header>, visit: &mut dyn FnMut(&TaskRef)) {
    // SAFETY: the caller's promise.
    let arguments = unsafe { arguments::<A, R, B>(task) };
    // SAFETY: the caller's promise.
    unsafe { arguments.as_ref() }.reads(visit);
}

/// # Safety
/// As for [`TaskRef::accesses`]; the task is a `Task<A, R, B>`.
unsafe fn accesses<A: Arg, R, B>(task: NonNull<Header>, visit: VisitAccess<'_>) {
    // SAFETY: the caller's promise.
    let arguments = unsafe { arguments::<A, R, B>(task) };
    // SAFETY: the caller's promise.
    unsafe { A::accesses(arguments, visit) }
}

/// # Safety
/// As for [`TaskRef::inputs`]; the task is a `Task<A, R, B>`.
unsafe fn parts<A: Arg, R, B>(task: NonNull<Header>, visit: &mut dyn FnMut(Part)) {
    // SAFETY: the caller's promise.
    let arguments = unsafe { arguments::<A, R, B>(task) };
    // SAFETY: the caller's promise.
    unsafe { arguments.as_ref() }.parts(visit);
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header").field("id", &self.id()).field("site", &self.site).finish_non_exhaustive()
    }
}
