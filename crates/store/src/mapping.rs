//! One mapping of memory, given back to the kernel when it is dropped.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{NonNull, null_mut};

/// Memory of this process that the kernel maps, from a page's start on.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread; who may touch its bytes when is its owner's business.
unsafe impl Send for Mapping {}
// SAFETY: as above; a shared mapping only tells where it is.
unsafe impl Sync for Mapping {}

/// What a mapping shows, and what may be done with it.
#[derive(Clone, Copy, Debug)]
enum Access {
    /// Writable, seen by every process that maps the same file.
    Shared,
    /// Writable by this process alone; the kernel promises no memory for it beforehand.
    Private,
    /// A file's bytes, not writable.
    ReadOnly,
    /// A memory file of another process, not writable.
    Neighbour,
}

impl Mapping {
    /// Fresh memory, zero, of this process alone; it begins at a multiple of `align`, a power of two.
    pub(crate) fn anonymous(bytes: usize, align: usize) -> io::Result<Mapping> {
        let room = Mapping::map(room_for(bytes, align)?, Access::Private, None, 0)?;
        Ok(room.narrow(bytes, align))
    }

    /// The first `bytes` of a memory file, seen by whoever maps it.
    pub(crate) fn shared(file: BorrowedFd<'_>, bytes: usize) -> io::Result<Mapping> {
        Mapping::map(bytes, Access::Shared, Some(file), 0)
    }

    /// `bytes` of a file from `offset` on, which is a multiple of the page.
    pub(crate) fn file(file: &File, offset: u64, bytes: usize) -> io::Result<Mapping> {
        use std::os::fd::AsFd;
        Mapping::map(bytes, Access::ReadOnly, Some(file.as_fd()), offset)
    }

    /// All of a memory file of another process, which has so many bytes.
    pub(crate) fn neighbour(file: &File, bytes: usize) -> io::Result<Mapping> {
        use std::os::fd::AsFd;
        Mapping::map(bytes, Access::Neighbour, Some(file.as_fd()), 0)
    }

    /// Bytes of a [`neighbour`](Mapping::neighbour)'s file, which that process promises to leave as they are.
    ///
    /// # Panics
    /// When they are not within it.
    pub(crate) fn neighbours_bytes(&self, offset: usize, len: usize) -> &[u8] {
        assert!(offset <= self.bytes && len <= self.bytes - offset, "the bytes lie in their mapping");
        // SAFETY: inside the mapping, as just checked.
        let start = unsafe { self.base.add(offset) };
        // SAFETY: mapped for as long as `self` is borrowed; the other process writes nothing there while it is lent.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), len) }
    }

    fn map(bytes: usize, access: Access, file: Option<BorrowedFd<'_>>, offset: u64) -> io::Result<Mapping> {
        let (protection, flags) = match access {
            Access::Shared => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_NORESERVE),
            Access::Private => {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
                (libc::PROT_READ | libc::PROT_WRITE, flags)
            }
            Access::ReadOnly => (libc::PROT_READ, libc::MAP_PRIVATE),
            Access::Neighbour => (libc::PROT_READ, libc::MAP_SHARED),
        };
        let fd = file.map_or(-1, |file| file.as_raw_fd());
        let offset =
            libc::off_t::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // SAFETY: a new mapping at a place of the kernel's choice touches no other memory.
        let base = unsafe { libc::mmap(null_mut(), bytes, protection, flags, fd, offset) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).expect("the kernel maps nothing at address zero unasked");
        Ok(Mapping { base, bytes })
    }

    /// Keeps `bytes` from the first multiple of `align` on and gives the rest back.
    fn narrow(self, bytes: usize, align: usize) -> Mapping {
        let before = self.base.addr().get().next_multiple_of(align) - self.base.addr().get();
        let after = self.bytes - before - bytes;
        let room = std::mem::ManuallyDrop::new(self);
        // SAFETY: `room_for` left enough for what is skipped before the aligned part.
        let base = unsafe { room.base.add(before) };
        // SAFETY: the part that is kept ends inside the room, or at its end.
        let end = unsafe { base.add(bytes) };
        drop(Mapping { base: room.base, bytes: before });
        drop(Mapping { base: end, bytes: after });
        Mapping { base, bytes }
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Asks for huge pages; where the kernel has none it refuses, which costs speed and nothing else.
    pub(crate) fn wish_for_huge_pages(&self) {
        // SAFETY: advice on memory that is ours.
        unsafe { libc::madvise(self.base.as_ptr().cast(), self.bytes, libc::MADV_HUGEPAGE) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.bytes > 0 {
            // SAFETY: the mapping is ours, and nobody uses its memory any more.
            unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
        }
    }
}

/// Bytes to map so that `bytes` from a multiple of `align` on are among them.
fn room_for(bytes: usize, align: usize) -> io::Result<usize> {
    bytes
        .checked_add(align.saturating_sub(page_bytes()))
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
}

/// The size of a page of this machine, in bytes.
pub(crate) fn page_bytes() -> usize {
    // SAFETY: asks for a constant of the system.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).expect("pages have a size")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anonymous_memory_is_aligned_as_asked() {
        for align in [4096, 2 << 20, 8 << 20] {
            let mapping = Mapping::anonymous(3 << 20, align).unwrap();
            assert_eq!((mapping.base().addr().get() % align, mapping.len()), (0, 3 << 20));
        }
    }

    #[test]
    fn more_than_there_are_addresses_is_refused() {
        // Which error it is depends: the kernel has no memory (12), valgrind no such argument (22).
        assert!(Mapping::anonymous(1 << 60, 4096).unwrap_err().raw_os_error().is_some());
        assert!(Mapping::anonymous(usize::MAX - 100, 2 << 20).is_err());
    }
}
