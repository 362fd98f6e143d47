//! Large results: a keeper may send them to disk, and whoever reads them has them pinned.
//!
//! The pool keeps a value in its task's slot, whatever its size. From [`KEPT_BYTES_MIN`] on it is *kept*: it stands in the
//! table here, a [`Keeper`] is told of it, and it may leave its slot and come back. Everything is decided by the keeper;
//! what makes it safe is here:
//!
//! * Whoever reads a kept value has it pinned: a task from before its body runs until its arguments are gone, a user for as
//!   long as the borrow lives, a write to disk until it ends. What is pinned does not leave its slot, whoever asks for it.
//! * A value moves in and out of its slot under the table's lock; it is made and dropped outside.
//! * The task object of a kept value is freed by the keeper's word, after its last handle is gone.
//!
//! A value may also begin as *remote*: another process has made it, and has it. It comes into its slot by [`restore`], as if it had
//! been on disk.
//!
//! Which task may run, and how one waits for that, is in `engine/admission`.

pub(crate) mod slot;

use super::{GATED, Header, KEPT, TaskRef};
use poniard_model::codec::{Encoded, SharedBytes};
use poniard_model::{Cause, ChunkId, CodecError, Site, Storage, TaskError, TaskId};
use slot::{Next, Place, Slot};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Results that hold at least so many bytes are kept. Smaller ones would cost more to look after than they take.
pub const KEPT_BYTES_MIN: usize = 16 << 10;

/// Who decides what stays in memory, and which task may run.
///
/// It is told of everything outside of locks, on whichever thread it happens. It may call the functions of this module, also
/// while it is told.
pub trait Keeper: Send + Sync {
    /// A value is kept from now on. It is in memory, and held: [`Keeper::unpin`] follows.
    fn made(&self, made: Made);
    /// A task that has not asked yet will read the value.
    fn reads(&self, task: TaskId, chunk: ChunkId);
    /// A task that reads or makes large values is about to run. Whether it may now, with all that it reads in memory; if not,
    /// `admit` or `refuse` follows. A task that was let in before is let in again.
    fn asks(&self, task: TaskId, wish: Wish) -> bool;
    /// Whether so many bytes more would be no trouble soon, be they used at once or not; `None` when they are not known.
    fn is_roomy(&self, more: Option<u64>) -> bool;
    /// The first task of a site has ended, with a result of so many bytes; 0 for a small one.
    fn learned(&self, site: &'static Site, bytes: u64);
    /// A task that will read values, or has asked, has ended, and made this. Perhaps told twice.
    fn ended(&self, task: TaskId, made: Option<Made>);
    /// A task that was let in waits for another one.
    fn paused(&self, task: TaskId);
    /// It goes on.
    fn resumed(&self, task: TaskId);
    /// Somebody wants to hold the value; false when it is not in memory.
    fn pin(&self, chunk: ChunkId) -> bool;
    /// Somebody holds the value no more.
    fn unpin(&self, chunk: ChunkId);
    /// What [`remake`](crate::kept::remake) has begun has ended.
    fn remade(&self, chunk: ChunkId, outcome: Remade);
    /// The last handle is gone: `free` follows.
    fn released(&self, chunk: ChunkId);
    /// Why a value that is with the process that made it cannot be had, whoever asks for it; `None` for all others.
    fn why_out_of_reach(&self, chunk: ChunkId) -> Option<Cause>;
}

/// What a task asks for that is about to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Bytes that it may make; `None` as long as no task from its site has ended.
    pub result: Option<u64>,
    /// Where it was spawned.
    pub site: &'static Site,
    /// Whether it holds no processor while it runs.
    pub is_beside: bool,
    /// The kept value that it makes again: it makes no other.
    pub again: Option<ChunkId>,
}

/// What became of making a kept value again.
#[derive(Clone, Debug)]
pub enum Remade {
    /// It is in memory, with so many bytes.
    Made(u64),
    /// A halt ended the task. Who came after that may want it all the same.
    Halted,
    /// The task failed.
    Failed(TaskError),
}

/// A value that is kept from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Which one.
    pub chunk: ChunkId,
    /// Bytes of memory that it holds.
    pub bytes: u64,
    /// Where it may be while nobody uses it.
    pub storage: Storage,
    /// Whether it may be dropped instead of written, and made again by [`remake`](crate::kept::remake).
    pub is_cached: bool,
    /// Whether it is with the process that made it, and not held here: who reads it has it fetched, by [`restore`].
    pub is_remote: bool,
}

static KEEPER: OnceLock<&'static dyn Keeper> = OnceLock::new();

/// Says who looks after large results, for good; the first call counts.
pub fn set_keeper(keeper: &'static dyn Keeper) {
    let _ = KEEPER.set(keeper);
}

pub(crate) fn keeper() -> Option<&'static dyn Keeper> {
    KEEPER.get().copied()
}

/// A kept value.
struct Kept {
    /// The task object, which stays until this goes.
    task: NonNull<Header>,
    bytes: u64,
    slot: Slot,
    /// It is with the process that made it, and was never here.
    is_remote: bool,
}

// SAFETY: it is a reference to a task object, whose value is `Send + Sync`.
unsafe impl Send for Kept {}

type Table = HashMap<ChunkId, Kept>;

static TABLE: Mutex<Option<Table>> = Mutex::new(None);

fn with<R>(work: impl FnOnce(&mut Table) -> R) -> R {
    let mut table: MutexGuard<'_, Option<Table>> = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    work(table.get_or_insert_default())
}

/// A value that was moved out of its slot, to be dropped by whoever has it.
pub(crate) type Moved = Box<dyn std::any::Any + Send>;

/// Keeps a value in its slot.
#[derive(Debug)]
pub(crate) struct Pin(ChunkId);

impl Pin {
    /// None when the value is not in its slot.
    pub(crate) fn of(chunk: ChunkId) -> Option<Pin> {
        // Made only if it is there: a pin that is dropped takes the lock.
        with(|table| table.get_mut(&chunk)?.slot.pin().then(|| Pin(chunk)))
    }
}

/// What a task has pinned that runs.
pub(crate) type Pins = Option<Arc<Vec<Pin>>>;

thread_local! {
    /// What the task has pinned that this thread runs.
    static PINS: RefCell<Pins> = const { RefCell::new(None) };
}

/// Does `work` with these pins in hand.
pub(crate) fn holding<R>(pins: Vec<Pin>, work: impl FnOnce() -> R) -> R {
    let outer = PINS.replace(Some(Arc::new(pins)));
    let result = work();
    drop(PINS.replace(outer));
    result
}

/// What the task has pinned, which this thread runs: whoever goes on with its arguments elsewhere keeps it.
pub(crate) fn pins_of(task: &TaskRef) -> Pins {
    if task.flags() & GATED != 0 { PINS.with_borrow(Clone::clone) } else { None }
}

/// The body of the task that this thread runs is over, and its arguments are gone.
pub(crate) fn let_go() {
    drop(PINS.take());
}

impl Drop for Pin {
    fn drop(&mut self) {
        change(self.0, Slot::unpin);
    }
}

/// Changes a slot and does what follows: what is dropped or freed is, outside of the lock.
fn change(chunk: ChunkId, change: impl FnOnce(&mut Slot) -> Next) {
    let (moved, over) = with(|table| {
        let Some(kept) = table.get_mut(&chunk) else { return (None, None) };
        match change(&mut kept.slot) {
            Next::Nothing => (None, None),
            // SAFETY: the slot says that nobody reads the value, and it is `Away` from now on.
            Next::MoveOut => (Some(unsafe { kept.task().move_value_out() }), None),
            Next::Free => (None, table.remove(&chunk)),
        }
    });
    crate::panics::contain(|| drop(moved));
    if let Some(kept) = over {
        let has_value = kept.slot.place == Place::Here;
        // SAFETY: the last handle has left the object to the table, which has just let go of it.
        unsafe { TaskRef::dismantle(kept.task, has_value) };
    }
}

impl Kept {
    /// The task, without a count: not beyond the life of this.
    fn task(&self) -> std::mem::ManuallyDrop<TaskRef> {
        // SAFETY: the object stays as long as this, and the reference is never dropped.
        std::mem::ManuallyDrop::new(unsafe { TaskRef::from_raw(self.task.as_ptr()) })
    }
}

/// Bytes of a value on their way to disk. The value stays in its slot meanwhile.
#[derive(Debug)]
pub struct Contents {
    encoded: Encoded,
    _pin: Pin,
}

impl Contents {
    /// The bytes, in parts: the head first, then the buffers.
    pub fn parts(&self) -> Vec<&[u8]> {
        let buffers = self.encoded.buffers().iter().map(|buffer| buffer.bytes());
        std::iter::once(self.encoded.head()).chain(buffers).collect()
    }
}

/// Memory of a value that stays in its slot, as a buffer beside its head.
struct Lent(NonNull<[u8]>);

// SAFETY: the bytes are read only, and `Contents` keeps them in place.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl SharedBytes for Lent {
    fn bytes(&self) -> &[u8] {
        // SAFETY: it lives in the `Encoded` of a `Contents`, whose pin keeps the value in its slot, as it is.
        unsafe { self.0.as_ref() }
    }
}

/// The bytes of a kept value; `None` when it is not in memory.
///
/// # Errors
/// When the value cannot be written, or holds things of this process.
pub fn contents(chunk: ChunkId) -> Option<Result<Contents, CodecError>> {
    let pin = Pin::of(chunk)?;
    // The pin keeps the object.
    let task = with(|table| table.get(&chunk).map(Kept::task))?;
    let lend = |bytes: &[u8]| -> Arc<dyn SharedBytes> { Arc::new(Lent(NonNull::from(bytes))) };
    // SAFETY: the pin keeps the value in its slot.
    let encoded = crate::panics::caught(|| unsafe { task.encode_value(&lend) });
    let encoded = encoded.unwrap_or_else(|| Err(CodecError::other(task.site.name, "its code panicked")));
    Some(encoded.map(|encoded| Contents { encoded, _pin: pin }))
}

/// Drops a kept value that is on disk; at once, or when the last one who reads it is done.
pub fn evict(chunk: ChunkId) {
    change(chunk, Slot::evict);
}

/// Puts a kept value back into its slot.
///
/// # Errors
/// When the bytes are not those of such a value.
pub fn restore(chunk: ChunkId, encoded: &Encoded) -> Result<(), CodecError> {
    // The keeper frees a value only after its read has ended, which is what happens here.
    let decode = |task: &TaskRef| (crate::panics::caught(|| task.decode_value(encoded)), task.site.name);
    let Some((read, name)) = with_task(chunk, decode) else { return Ok(()) };
    let value = read.unwrap_or_else(|| Err(CodecError::other(name, "its code panicked")))?;
    move_in(chunk, value, |kept| kept.is_remote = false);
    Ok(())
}

/// Puts a value that was made again into its slot. It may hold more or less than before.
pub(crate) fn put_back(chunk: ChunkId, value: Moved, bytes: u64) {
    move_in(chunk, value, |kept| kept.bytes = bytes);
}

fn move_in(chunk: ChunkId, value: Moved, then: impl FnOnce(&mut Kept)) {
    let mut value = Some(value);
    with(|table| {
        let Some(kept) = table.get_mut(&chunk) else { return };
        if kept.slot.restore()
            && let Some(value) = value.take()
        {
            // SAFETY: it was away, so the slot is empty, and the table's lock keeps others out.
            unsafe { kept.task().move_value_in(value) };
            then(kept);
        }
    });
    crate::panics::contain(|| drop(value));
}

/// Does `work` with the task of a kept value. The keeper keeps the object meanwhile.
pub(crate) fn with_task<R>(chunk: ChunkId, work: impl FnOnce(&TaskRef) -> R) -> Option<R> {
    let task = with(|table| table.get(&chunk).map(Kept::task))?;
    Some(work(&task))
}

/// Frees a kept value that was released.
pub fn free(chunk: ChunkId) {
    change(chunk, Slot::free);
}

/// Puts the value of a task that ends now into the table. The caller has it held: `unpin` follows.
pub(crate) fn keep(task: &TaskRef, bytes: usize) -> Made {
    insert(task, bytes as u64, Slot::new())
}

/// Puts a task into the table that ends now, and whose value is with the process that made it.
pub(crate) fn keep_remote(task: &TaskRef, bytes: u64) -> Made {
    SOME_REMOTE.store(true, Relaxed);
    insert(task, bytes, Slot::remote())
}

fn insert(task: &TaskRef, bytes: u64, slot: Slot) -> Made {
    let (chunk, is_remote) = (task.id().into(), slot.place == Place::Away);
    let kept = Kept { task: task.as_non_null(), bytes, slot, is_remote };
    with(|table| table.insert(chunk, kept));
    task.set_flags(KEPT);
    let storage = task.extra().map(|extra| extra.storage).unwrap_or_default();
    Made { chunk, bytes, storage, is_cached: !is_remote && task.has_lineage(), is_remote }
}

/// The last handle of a kept value is gone.
#[cold]
pub(crate) fn release(task: NonNull<Header>) {
    // SAFETY: the object stays until the slot goes, and the slot knows that nobody else has it.
    let chunk = unsafe { task.as_ref() }.id().into();
    with(|table| table.get_mut(&chunk).expect("a kept value has a slot").slot.orphan());
    match keeper() {
        Some(keeper) => keeper.released(chunk),
        None => free(chunk),
    }
}

/// Moves a kept value to the only task that still wants it; false when somebody else reads it too.
pub(crate) fn take(chunk: ChunkId) -> bool {
    with(|table| table.get_mut(&chunk).expect("a kept value has a slot").slot.take())
}

/// A kept value is in memory, and stays there as long as this lives.
#[derive(Debug)]
pub struct Held {
    chunk: ChunkId,
    pin: Option<Pin>,
}

impl Held {
    /// None when the value is not in memory.
    pub(crate) fn of(chunk: ChunkId) -> Option<Held> {
        let keeper = keeper()?;
        if !keeper.pin(chunk) {
            return None;
        }
        match Pin::of(chunk) {
            Some(pin) => Some(Held { chunk, pin: Some(pin) }),
            None => {
                keeper.unpin(chunk);
                None
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // In this order: when the keeper sends it away, nobody has it pinned.
        drop(self.pin.take());
        if let Some(keeper) = keeper() {
            keeper.unpin(self.chunk);
        }
    }
}

/// Bytes of memory that a kept value holds when it is there.
pub(crate) fn bytes(chunk: ChunkId) -> Option<u64> {
    with(|table| table.get(&chunk).map(|kept| kept.bytes))
}

/// Whether there were ever values that are with the process that made them.
static SOME_REMOTE: AtomicBool = AtomicBool::new(false);

/// Whether there may be values that are with the process that made them: else nobody need look.
pub(crate) fn are_some_remote() -> bool {
    // Relaxed: who reads such a value was told of it after this was set.
    SOME_REMOTE.load(Relaxed)
}

/// Bytes of a kept value that is with the process that made it, and not here.
pub(crate) fn remote_bytes(chunk: ChunkId) -> Option<u64> {
    with(|table| table.get(&chunk).filter(|kept| kept.is_remote).map(|kept| kept.bytes))
}

/// Whether the task that this thread works on has the value pinned.
pub(crate) fn is_held_here(chunk: ChunkId) -> bool {
    PINS.with_borrow(|pins| pins.iter().flat_map(|pins| pins.iter()).any(|pin| pin.0 == chunk))
}

/// Whether a kept value is in memory.
pub(crate) fn is_here(chunk: ChunkId) -> bool {
    with(|table| table.get(&chunk).is_some_and(|kept| kept.slot.place == Place::Here))
}
