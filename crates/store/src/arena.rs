//! An arena: slots of pooled memory, cut from slabs, kept warm for a while when they are freed.
//!
//! Fresh memory costs a page fault for each page, which is 7 times the price of writing to it. So a freed slot stays
//! as it is, with its memory, until a block of its size comes: it is *warm*. Warm slots have a limit of their own; what
//! is over it, oldest first, goes back to the kernel at once, and its addresses are *cold* until they are cut again.

use crate::extents::Extents;
use crate::place::SharedFile;
use crate::refusal::TakeError;
use crate::size::{self, slot_bytes};
use crate::slab::{Backing, Pages, Slab, SlabId};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The first slab of a kind, in bytes of addresses. Each later one is as large as all before it.
const SLAB_MIN: usize = 64 << 20;
/// The largest slab that holds more than one slot. Addresses cost nothing, but a process may have a limit of them.
const SLAB_MAX: usize = 1 << 30;

/// Pooled memory, from which buffers take their slots. Clones are the same arena.
///
/// ```
/// use poniard_store::{Arena, ArenaConfig, BufMut};
/// let arena = Arena::new(ArenaConfig::default());
/// let block = BufMut::zeroed(&arena, 1 << 20)?;
/// assert_eq!(arena.usage().in_use_bytes, 1 << 20);
/// drop(block);
/// assert_eq!((arena.usage().in_use_bytes, arena.usage().warm_bytes), (0, 1 << 20));
/// # Ok::<(), poniard_store::TakeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Arena(Arc<Shared>);

/// What an arena is made of, and its limits.
#[derive(Clone, Debug)]
pub struct ArenaConfig {
    /// What is behind its addresses.
    pub backing: Backing,
    /// Bytes of freed slots that keep their memory: 128 MiB unless set.
    pub warm_bytes_max: usize,
    /// Bytes of slots in use, beyond which [`TakeError`] is given; warm slots make room first. No limit unless set.
    pub in_use_bytes_max: usize,
}

impl Default for ArenaConfig {
    fn default() -> ArenaConfig {
        ArenaConfig { backing: Backing::default(), warm_bytes_max: 128 << 20, in_use_bytes_max: usize::MAX }
    }
}

/// What an arena holds at the moment. All are sizes of slots, which may be an eighth above what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaUsage {
    /// Bytes of the slots that buffers have.
    pub in_use_bytes: usize,
    /// Bytes of freed slots that keep their memory.
    pub warm_bytes: usize,
    /// The most that was ever in use.
    pub peak_bytes: usize,
    /// Slots that buffers have.
    pub slots: usize,
    /// Slabs that are mapped.
    pub slabs: usize,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
}

/// Where all slots are. Each byte of a slab is in use, warm, cold, or with a thread that is just giving it back.
#[derive(Debug)]
struct State {
    /// What is behind the slabs that are mapped from now on.
    backing: Backing,
    slabs: BTreeMap<SlabId, Mapped>,
    /// Slabs mapped so far, of which the last is the newest number.
    mapped: u64,
    /// Warm slots by size, those of one size in order of their freeing.
    warm: BTreeMap<usize, VecDeque<Warm>>,
    warm_bytes: usize,
    warm_bytes_max: usize,
    in_use_bytes: usize,
    in_use_bytes_max: usize,
    /// What is in use and what is warm together: warm slots go for it, nothing is refused.
    resident_bytes_max: usize,
    peak_bytes: usize,
    slots: usize,
    /// Slots freed so far: the age of warm ones.
    freed: u64,
}

#[derive(Debug)]
struct Mapped {
    slab: Arc<Slab>,
    pages: Pages,
    cold: Extents,
}

#[derive(Debug)]
struct Warm {
    part: Part,
    freed: u64,
}

/// A part of a slab that one slot fills.
#[derive(Debug)]
struct Part {
    slab: Arc<Slab>,
    offset: usize,
    bytes: usize,
}

/// A part of a slab that somebody uses; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Slot {
    arena: Arc<Shared>,
    slab: Arc<Slab>,
    offset: usize,
    bytes: usize,
    is_zero: bool,
}

impl Arena {
    /// An arena without slabs; the first slot maps one.
    pub fn new(config: ArenaConfig) -> Arena {
        let state = State {
            backing: config.backing,
            slabs: BTreeMap::new(),
            mapped: 0,
            warm: BTreeMap::new(),
            warm_bytes: 0,
            warm_bytes_max: config.warm_bytes_max,
            in_use_bytes: 0,
            in_use_bytes_max: config.in_use_bytes_max,
            resident_bytes_max: usize::MAX,
            peak_bytes: 0,
            slots: 0,
            freed: 0,
        };
        Arena(Arc::new(Shared { state: Mutex::new(state) }))
    }

    /// The arena of this process, from which tiles and blobs take their memory unless told otherwise.
    pub fn global() -> &'static Arena {
        static GLOBAL: OnceLock<Arena> = OnceLock::new();
        GLOBAL.get_or_init(|| Arena::new(ArenaConfig::default()))
    }

    /// A slot of at least `len` bytes. They are zero, or what the slot's last user left.
    pub(crate) fn take(&self, len: usize) -> Result<Slot, TakeError> {
        let bytes = slot_bytes(len).ok_or_else(|| TakeError::no_such_size(len))?;
        let (warm, aside) = self.0.lock().admit(len, bytes)?;
        self.0.release(aside);
        match warm {
            Some(part) => Ok(self.slot(part, false)),
            None => match self.carve(bytes) {
                Ok(part) => Ok(self.slot(part, true)),
                Err(cause) => {
                    let mut state = self.0.lock();
                    state.in_use_bytes -= bytes;
                    state.slots -= 1;
                    Err(TakeError::refused(len, bytes, state.in_use_bytes, state.backing, cause))
                }
            },
        }
    }

    /// What it holds now.
    pub fn usage(&self) -> ArenaUsage {
        let state = self.0.lock();
        ArenaUsage {
            in_use_bytes: state.in_use_bytes,
            warm_bytes: state.warm_bytes,
            peak_bytes: state.peak_bytes,
            slots: state.slots,
            slabs: state.slabs.len(),
        }
    }

    /// Sets the limit of bytes in use. What is in use beyond it stays until it is freed; warm slots beyond it go.
    pub fn set_in_use_bytes_max(&self, bytes: usize) {
        self.limit(|state| state.in_use_bytes_max = bytes);
    }

    /// Sets how many bytes may be in use and warm together: warm slots go as others come into use. What is in use beyond
    /// it is not refused.
    pub fn set_resident_bytes_max(&self, bytes: usize) {
        self.limit(|state| state.resident_bytes_max = bytes);
    }

    /// Sets how many bytes of freed slots keep their memory; zero gives each back at once.
    pub fn set_warm_bytes_max(&self, bytes: usize) {
        self.limit(|state| state.warm_bytes_max = bytes);
    }

    /// Changes a limit, and gives back what is warm beyond it.
    fn limit(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.lock();
        change(&mut state);
        let room = state.warm_room();
        let aside = state.cool_to(room);
        drop(state);
        self.0.release(aside);
    }

    /// Sets what is behind the slots from now on: those that buffers have stay as they are.
    pub fn set_backing(&self, backing: Backing) {
        let mut state = self.0.lock();
        if state.backing != backing {
            state.backing = backing;
            let aside = state.cool_to(0);
            drop(state);
            self.0.release(aside);
        }
    }

    /// Gives the memory of all warm slots back to the kernel.
    pub fn cool(&self) {
        let aside = self.0.lock().cool_to(0);
        self.0.release(aside);
    }

    /// Cuts a slot from a slab, a new one when none has room. When the kernel refuses, it is asked again for less
    /// after all warm memory has gone back to it.
    fn carve(&self, bytes: usize) -> io::Result<Part> {
        let mut state = self.0.lock();
        if let Some(part) = state.carve(bytes) {
            return Ok(part);
        }
        let wished = state.next_slab(bytes);
        match state.map(wished, bytes) {
            Ok(part) => Ok(part),
            Err(_) => {
                let aside = state.cool_to(0);
                drop(state);
                self.0.release(aside);
                let mut state = self.0.lock();
                state.carve(bytes).map_or_else(|| state.map(bytes, bytes), Ok)
            }
        }
    }

    fn slot(&self, part: Part, is_zero: bool) -> Slot {
        Slot { arena: self.0.clone(), slab: part.slab, offset: part.offset, bytes: part.bytes, is_zero }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the memory of parts back that nobody can find any more, then makes them cold. The kernel takes
    /// milliseconds for a large one, so the lock is not held meanwhile.
    fn release(&self, parts: Vec<Part>) {
        for Part { slab, offset, bytes } in parts {
            // SAFETY: the part was warm, so nobody uses it, and it has left the state, so nobody finds it.
            unsafe { slab.release(offset, bytes) };
            let gone = self.lock().make_cold(slab.id(), offset, bytes);
            // Unmapped here, without the lock.
            drop(gone);
        }
    }
}

impl State {
    /// Counts a slot of `bytes`, and finds a warm one; else says what must cool for it.
    fn admit(&mut self, len: usize, bytes: usize) -> Result<(Option<Part>, Vec<Part>), TakeError> {
        if bytes > self.in_use_bytes_max.saturating_sub(self.in_use_bytes) {
            return Err(TakeError::over_limit(len, bytes, self.in_use_bytes, self.in_use_bytes_max));
        }
        self.in_use_bytes += bytes;
        self.peak_bytes = self.peak_bytes.max(self.in_use_bytes);
        self.slots += 1;
        let warm = self.take_warm(bytes);
        let room = self.warm_room();
        let aside = if warm.is_some() { Vec::new() } else { self.cool_to(room) };
        Ok((warm, aside))
    }

    /// How many bytes may be warm now.
    fn warm_room(&self) -> usize {
        let limit = self.in_use_bytes_max.min(self.resident_bytes_max);
        self.warm_bytes_max.min(limit.saturating_sub(self.in_use_bytes))
    }

    /// The warm slot of this size that was freed last: more of it is still in the processor's caches.
    fn take_warm(&mut self, bytes: usize) -> Option<Part> {
        let part = self.warm.get_mut(&bytes)?.pop_back()?.part;
        self.warm_bytes -= bytes;
        Some(part)
    }

    /// Counts a slot as freed and keeps it warm, unless it is above the limit alone or of another kind than later ones; gives what must cool for it.
    fn free(&mut self, part: Part) -> Vec<Part> {
        self.in_use_bytes -= part.bytes;
        self.slots -= 1;
        let room = self.warm_room();
        if part.bytes > room || part.slab.backing() != self.backing {
            return vec![part];
        }
        let aside = self.cool_to(room - part.bytes);
        self.freed += 1;
        self.warm_bytes += part.bytes;
        self.warm.entry(part.bytes).or_default().push_back(Warm { part, freed: self.freed });
        aside
    }

    /// Takes the oldest warm slots out until at most `bytes` are left.
    fn cool_to(&mut self, bytes: usize) -> Vec<Part> {
        let mut aside = Vec::new();
        while self.warm_bytes > bytes {
            let oldest =
                self.warm.iter().filter_map(|(size, slots)| Some((slots.front()?.freed, *size))).min();
            let (_, size) = oldest.expect("warm bytes are those of warm slots");
            let slots = self.warm.get_mut(&size).expect("its size was just seen");
            aside.extend(slots.pop_front().map(|warm| warm.part));
            if slots.is_empty() {
                self.warm.remove(&size);
            }
            self.warm_bytes -= size;
        }
        aside
    }

    fn carve(&mut self, bytes: usize) -> Option<Part> {
        let (pages, backing) = (pages_of(bytes), self.backing);
        let fits = |mapped: &&mut Mapped| mapped.pages == pages && mapped.slab.backing() == backing;
        self.slabs.values_mut().filter(fits).find_map(|mapped| {
            let offset = mapped.cold.take(bytes)?;
            Some(Part { slab: mapped.slab.clone(), offset, bytes })
        })
    }

    /// How large a slab to map when a slot of `bytes` has no room: as large as all of its kind so far.
    fn next_slab(&self, bytes: usize) -> usize {
        let pages = pages_of(bytes);
        let of_kind = self.slabs.values().filter(|mapped| mapped.pages == pages);
        let so_far: usize = of_kind.map(|mapped| mapped.slab.len()).sum();
        so_far.clamp(SLAB_MIN, SLAB_MAX).max(bytes)
    }

    /// Maps a slab and cuts its first slot.
    fn map(&mut self, slab_bytes: usize, bytes: usize) -> io::Result<Part> {
        let pages = pages_of(bytes);
        let slab = Arc::new(Slab::map(SlabId::new(self.mapped), slab_bytes, self.backing, pages)?);
        self.mapped += 1;
        let mut cold = Extents::all(slab_bytes);
        let offset = cold.take(bytes).expect("the slab is at least as large as its first slot");
        self.slabs.insert(slab.id(), Mapped { slab: slab.clone(), pages, cold });
        Ok(Part { slab, offset, bytes })
    }

    /// Makes a released part cold; the slab is taken out when all of it is.
    fn make_cold(&mut self, slab: SlabId, offset: usize, bytes: usize) -> Option<Mapped> {
        let mapped = self.slabs.get_mut(&slab).expect("a slab with a part that is not cold is mapped");
        mapped.cold.give(offset, bytes);
        if mapped.cold.is_all(mapped.slab.len()) { self.slabs.remove(&slab) } else { None }
    }
}

fn pages_of(bytes: usize) -> Pages {
    if size::is_huge(bytes) { Pages::Huge } else { Pages::Small }
}

impl Slot {
    /// Its first byte.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.slab.at(self.offset)
    }

    /// Whether its bytes were zero when it was taken.
    pub(crate) fn is_zero(&self) -> bool {
        self.is_zero
    }

    pub(crate) fn slab(&self) -> SlabId {
        self.slab.id()
    }

    /// The memory file that it lies in, as other processes of this host find it.
    pub(crate) fn shared(&self) -> Option<SharedFile> {
        self.slab.shared()
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// The arena that it came from.
    pub(crate) fn arena(&self) -> Arena {
        Arena(self.arena.clone())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let part = Part { slab: self.slab.clone(), offset: self.offset, bytes: self.bytes };
        let aside = self.arena.lock().free(part);
        self.arena.release(aside);
    }
}

#[cfg(test)]
mod tests;
