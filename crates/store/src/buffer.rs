//! Bytes that are passed on by reference: in a pool's slot, in a mapped file, or somebody else's.

use crate::arena::{Arena, Slot};
use crate::mapping::{Mapping, page_bytes};
use crate::neighbour::{Neighbour, Neighbours};
use crate::place::SharedPlace;
use crate::refusal::TakeError;
use crate::size::readable;
use crate::slab::SlabId;
use bytemuck::Pod;
use poniard_model::codec::SharedBytes;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::any::Any;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;
use std::slice::SliceIndex;
use std::sync::Arc;

/// Below this many bytes a buffer is a block of the system's allocator: a slot would be mostly empty.
const SLOT_BYTES_MIN: usize = 2048;
/// What such a block is aligned to: a cache line, which the widest vector loads ask for.
const SMALL_ALIGN: usize = 64;

/// Read-only bytes that clones share. The last clone gives the memory back.
///
/// ```
/// use poniard_store::Buf;
/// let numbers = Buf::from_vec(vec![1.0_f64, 2.0, 3.0]);
/// let last = numbers.slice(16..);
/// assert_eq!(*last, 3.0_f64.to_ne_bytes());
/// assert_eq!(last.as_ptr(), numbers[16..].as_ptr(), "no copy");
/// ```
#[derive(Clone)]
pub struct Buf {
    start: NonNull<u8>,
    len: usize,
    home: Arc<Home>,
}

/// Bytes of its own that are still being written; [`freeze`](BufMut::freeze) makes a [`Buf`] of them.
///
/// ```
/// use poniard_store::{Arena, BufMut};
/// let mut block = BufMut::zeroed(Arena::global(), 8192)?;
/// block[..5].copy_from_slice(b"hello");
/// let block = block.freeze();
/// assert_eq!(&block[..5], b"hello");
/// # Ok::<(), poniard_store::TakeError>(())
/// ```
pub struct BufMut(Buf);

/// Where a slot is, among those of this process. Other processes find it by its [`SharedPlace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The slab.
    pub slab: SlabId,
    /// Bytes from the start of the slab.
    pub offset: usize,
    /// Bytes.
    pub len: usize,
}

/// What keeps the bytes alive.
enum Home {
    Slot(Slot),
    Small(#[expect(dead_code, reason = "its drop frees")] Small),
    File(#[expect(dead_code, reason = "its drop unmaps")] Mapping),
    /// A vector whose elements are plain data; nobody else can reach them.
    Vec(#[expect(dead_code, reason = "its drop frees")] Box<dyn Any + Send + Sync>),
    /// In another process of this host.
    Neighbour(Neighbour),
    /// Somebody's bytes, which others may read as well.
    Owner(#[expect(dead_code, reason = "its drop frees")] Arc<dyn Any + Send + Sync>),
    Static,
}

// SAFETY: a `Buf` only reads, and what it reads is kept by its home, which may be sent. Whoever writes has it alone.
unsafe impl Send for Buf {}
// SAFETY: as above.
unsafe impl Sync for Buf {}

impl Buf {
    /// No bytes.
    pub fn empty() -> Buf {
        Buf::from_static(&[])
    }

    /// Bytes of the program itself.
    pub fn from_static(bytes: &'static [u8]) -> Buf {
        Buf::at(NonNull::from(bytes).cast(), bytes.len(), Home::Static)
    }

    /// The elements of a vector, without a copy.
    pub fn from_vec<T: Pod + Send + Sync>(mut vec: Vec<T>) -> Buf {
        let len = size_of_val(vec.as_slice());
        // From a mutable pointer, so that the bytes may be written again while nobody shares them.
        let start = NonNull::new(vec.as_mut_ptr()).expect("a vector's pointer is not null").cast();
        Buf::at(start, len, Home::Vec(Box::new(vec)))
    }

    /// The bytes of anything that has some, without a copy: a buffer of Arrow, an `Arc<[u8]>`, a mapped file.
    pub fn from_owner(owner: impl AsRef<[u8]> + Send + Sync + 'static) -> Buf {
        // In its `Arc` first: what holds its bytes in itself must not move any more.
        let owner = Arc::new(owner);
        let bytes: &[u8] = (*owner).as_ref();
        let (start, len) = (NonNull::from(bytes).cast(), bytes.len());
        Buf::at(start, len, Home::Owner(owner))
    }

    /// The bytes that travelled beside a value; a `Buf` among them is itself again.
    pub fn from_shared(shared: &Arc<dyn SharedBytes>) -> Buf {
        let any: &dyn Any = &**shared;
        match any.downcast_ref::<Buf>() {
            Some(buf) => buf.clone(),
            None => Buf::from_owner(Travelled(shared.clone())),
        }
    }

    /// Maps a range of a file, in bytes. Reading it brings pages in as they are touched.
    ///
    /// The file must stay as it is while the buffer lives: who writes to it changes the bytes, and who shortens it
    /// makes the next touch end the process with SIGBUS. Map only files that nobody writes any more.
    ///
    /// # Errors
    /// When the range is not within the file, or the kernel does not map it.
    pub fn map(file: &File, range: Range<u64>) -> io::Result<Buf> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        let file_len = file.metadata()?.len();
        if range.start > range.end || range.end > file_len {
            let Range { start, end } = range;
            return Err(invalid(format!("bytes {start}..{end} are not in a file of {file_len} bytes")));
        }
        let len = range.end - range.start;
        if len == 0 {
            return Ok(Buf::empty());
        }
        let skipped = range.start % page_bytes() as u64;
        let mapped =
            usize::try_from(skipped + len).map_err(|_| invalid(format!("{len} bytes are too many")))?;
        let mapping = Mapping::file(file, range.start - skipped, mapped)?;
        // SAFETY: less than a page is skipped of a mapping that has at least a byte behind that.
        let start = unsafe { mapping.base().add(skipped as usize) };
        Ok(Buf::at(start, mapped - skipped as usize, Home::File(mapping)))
    }

    /// The bytes at a place of another process, read where they are; `over` is called when nobody here reads them any more, or
    /// at once when they cannot be had. They are copied only where this process has no addresses left for them.
    ///
    /// # Errors
    /// [`NotFound`](io::ErrorKind::NotFound) when the process or its memory is gone; else what the kernel says: this process may
    /// not look at the other's memory, or has no descriptor or no memory left.
    pub fn open(
        neighbours: &Neighbours,
        place: SharedPlace,
        over: impl FnOnce() + Send + Sync + 'static,
    ) -> io::Result<Buf> {
        let there = neighbours.open(place, over)?;
        let bytes = there.as_ref();
        let (start, len) = (NonNull::from(bytes).cast(), bytes.len());
        Ok(Buf::at(start, len, Home::Neighbour(there)))
    }

    fn at(start: NonNull<u8>, len: usize, home: Home) -> Buf {
        Buf { start, len, home: Arc::new(home) }
    }

    /// A part of the bytes, which shares them.
    ///
    /// # Panics
    /// When the range is not within them.
    #[must_use]
    pub fn slice(&self, range: impl SliceIndex<[u8], Output = [u8]>) -> Buf {
        let part = &self[range];
        // SAFETY: the part lies within the buffer; its own pointer could not be written through later.
        let start = unsafe { self.start.add(part.as_ptr().addr() - self.start.addr().get()) };
        Buf { start, len: part.len(), home: self.home.clone() }
    }

    /// The largest power of two that the address of the first byte is a multiple of.
    pub fn align(&self) -> usize {
        1 << self.start.addr().trailing_zeros()
    }

    /// Where it is, when it is in an arena's slot.
    pub fn place(&self) -> Option<Place> {
        let Home::Slot(slot) = &*self.home else { return None };
        let skipped = self.start.addr().get() - slot.start().addr().get();
        Some(Place { slab: slot.slab(), offset: slot.offset() + skipped, len: self.len })
    }

    /// Where other processes of this host find it, when it lies in a memory file.
    pub fn shared_place(&self) -> Option<SharedPlace> {
        let skipped = |start: NonNull<u8>| self.start.addr().get() - start.addr().get();
        match &*self.home {
            Home::Slot(slot) => {
                let offset = slot.offset() + skipped(slot.start());
                Some(SharedPlace::new(slot.shared()?, offset, self.len))
            }
            Home::Neighbour(there) => {
                Some(there.place(skipped(NonNull::from(there.as_ref()).cast()), self.len))
            }
            Home::Small(_) | Home::File(_) | Home::Vec(_) | Home::Owner(_) | Home::Static => None,
        }
    }

    /// Whether the bytes lie in the memory of another process, which has to keep them.
    pub fn is_of_neighbour(&self) -> bool {
        matches!(&*self.home, Home::Neighbour(_))
    }

    /// The arena that its slot is of.
    pub fn arena(&self) -> Option<Arena> {
        let Home::Slot(slot) = &*self.home else { return None };
        Some(slot.arena())
    }

    /// Whether another `Buf` has the same home, be it another part of it.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.home) > 1
    }

    /// The bytes to write to, when nobody shares them and they are memory: a slot, or a vector's.
    pub fn as_mut(&mut self) -> Option<&mut [u8]> {
        match Arc::get_mut(&mut self.home)? {
            // SAFETY: `get_mut` says that no other `Buf` has this home, and no one else knows where these kinds are.
            Home::Slot(_) | Home::Small(_) | Home::Vec(_) => Some(unsafe { self.bytes_mut() }),
            Home::File(_) | Home::Neighbour(_) | Home::Owner(_) | Home::Static => None,
        }
    }

    /// # Safety
    /// Nobody else reads or writes the bytes, and they may be written.
    unsafe fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `start` has `len` bytes, initialised, and the caller says that they are ours alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    fn home_name(&self) -> String {
        match &*self.home {
            Home::Slot(slot) => format!("{:?} at {}", slot.slab(), slot.offset()),
            Home::Small(_) => "heap".to_owned(),
            Home::File(_) => "mapped file".to_owned(),
            Home::Vec(_) => "vector".to_owned(),
            Home::Neighbour(there) => format!("{there:?}"),
            Home::Owner(_) => "foreign".to_owned(),
            Home::Static => "static".to_owned(),
        }
    }
}

impl BufMut {
    /// `len` bytes, with whatever the last user of the slot left in them.
    ///
    /// # Errors
    /// When the arena is at its limit, or the kernel refuses memory.
    pub fn take(arena: &Arena, len: usize) -> Result<BufMut, TakeError> {
        Ok(BufMut::taken(arena, len)?.0)
    }

    /// `len` bytes that are zero.
    ///
    /// # Errors
    /// As for [`take`](BufMut::take).
    pub fn zeroed(arena: &Arena, len: usize) -> Result<BufMut, TakeError> {
        let (mut buf, is_zero) = BufMut::taken(arena, len)?;
        if !is_zero {
            buf.fill(0);
        }
        Ok(buf)
    }

    /// A copy of bytes.
    ///
    /// # Errors
    /// As for [`take`](BufMut::take).
    pub fn copy_of(arena: &Arena, bytes: &[u8]) -> Result<BufMut, TakeError> {
        let mut buf = BufMut::take(arena, bytes.len())?;
        buf.copy_from_slice(bytes);
        Ok(buf)
    }

    /// The buffer, and whether it is zero already.
    fn taken(arena: &Arena, len: usize) -> Result<(BufMut, bool), TakeError> {
        if len < SLOT_BYTES_MIN {
            let small = Small::zeroed(len);
            return Ok((BufMut(Buf::at(small.start, len, Home::Small(small))), true));
        }
        let slot = arena.take(len)?;
        let is_zero = slot.is_zero();
        Ok((BufMut(Buf::at(slot.start(), len, Home::Slot(slot))), is_zero))
    }

    /// The bytes as they are now, to be shared.
    pub fn freeze(self) -> Buf {
        self.0
    }
}

impl TryFrom<Buf> for BufMut {
    type Error = Buf;

    /// The bytes to write to; they come back when somebody shares them or they are not memory.
    fn try_from(mut buf: Buf) -> Result<BufMut, Buf> {
        if buf.as_mut().is_some() { Ok(BufMut(buf)) } else { Err(buf) }
    }
}

/// A block of the system's allocator.
struct Small {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the block is memory like any other; who may touch it is for the `Buf` around it to say.
unsafe impl Send for Small {}
// SAFETY: as above.
unsafe impl Sync for Small {}

impl Small {
    fn zeroed(len: usize) -> Small {
        let layout = Small::layout(len);
        // SAFETY: the size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        Small { start: NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout)), len }
    }

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len.max(1), SMALL_ALIGN).expect("small blocks have a layout")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nobody uses it any more.
        unsafe { dealloc(self.start.as_ptr(), Small::layout(self.len)) }
    }
}

/// Bytes that travelled beside a value and are not a `Buf`.
struct Travelled(Arc<dyn SharedBytes>);

impl AsRef<[u8]> for Travelled {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl SharedBytes for Buf {
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl Deref for Buf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `start` has `len` initialised bytes while the home lives, and nobody writes to them while a `Buf`
        // that shares them is borrowed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for Buf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Buf {
    fn eq(&self, other: &Buf) -> bool {
        **self == **other
    }
}

impl Eq for Buf {}

impl Default for Buf {
    fn default() -> Buf {
        Buf::empty()
    }
}

impl<T: Pod + Send + Sync> From<Vec<T>> for Buf {
    fn from(vec: Vec<T>) -> Buf {
        Buf::from_vec(vec)
    }
}

impl From<BufMut> for Buf {
    fn from(buf: BufMut) -> Buf {
        buf.freeze()
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf({}, {})", readable(self.len), self.home_name())
    }
}

impl Deref for BufMut {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for BufMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: a `BufMut` never shares its home, which is a kind that may be written.
        unsafe { self.0.bytes_mut() }
    }
}

impl fmt::Debug for BufMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BufMut({}, {})", readable(self.len()), self.0.home_name())
    }
}

#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod tests;
