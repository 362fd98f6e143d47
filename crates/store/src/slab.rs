//! A slab: a range of addresses that slots are cut from, with memory behind the slots that are in use or warm.

use crate::mapping::Mapping;
use crate::place::SharedFile;
use crate::size::{HUGE_PAGE, PAGE};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;

/// The number of a slab in its process; no two slabs ever have the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlabId(u64);

/// What is behind the addresses of an arena's slabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Backing {
    /// Memory of this process alone, in huge pages where the kernel gives them.
    #[default]
    Anonymous,
    /// Memory files (`memfd_create`), which another process of this host can map.
    Memfd,
}

/// Which slots a slab is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    /// Slots of any whole pages.
    Small,
    /// Slots of whole huge pages, aligned to them, so that no huge page is ever of two slots.
    Huge,
}

/// One mapped slab.
#[derive(Debug)]
pub(crate) struct Slab {
    id: SlabId,
    mapping: Mapping,
    /// The memory file behind it; none for anonymous memory.
    file: Option<(OwnedFd, SharedFile)>,
}

impl SlabId {
    pub(crate) fn new(number: u64) -> SlabId {
        SlabId(number)
    }

    /// The number itself, for what is sent to other processes.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl Slab {
    /// Maps `bytes` of addresses. Memory comes with the first touch of each page.
    pub(crate) fn map(id: SlabId, bytes: usize, backing: Backing, pages: Pages) -> io::Result<Slab> {
        let align = if pages == Pages::Huge { HUGE_PAGE } else { PAGE };
        match backing {
            Backing::Anonymous => {
                let mapping = Mapping::anonymous(bytes, align)?;
                if pages == Pages::Huge {
                    mapping.wish_for_huge_pages();
                }
                Ok(Slab { id, mapping, file: None })
            }
            Backing::Memfd => {
                let file = memory_file(bytes)?;
                let mapping = Mapping::shared(file.as_fd(), bytes)?;
                let file = File::from(file);
                let shared = SharedFile::of(&file, file.metadata()?.ino(), bytes as u64);
                Ok(Slab { id, mapping, file: Some((file.into(), shared)) })
            }
        }
    }

    pub(crate) fn id(&self) -> SlabId {
        self.id
    }

    pub(crate) fn len(&self) -> usize {
        self.mapping.len()
    }

    /// The memory file, as other processes of this host find it.
    pub(crate) fn shared(&self) -> Option<SharedFile> {
        self.file.as_ref().map(|(_, shared)| *shared)
    }

    pub(crate) fn backing(&self) -> Backing {
        if self.file.is_some() { Backing::Memfd } else { Backing::Anonymous }
    }

    /// Where the byte at `offset` is.
    pub(crate) fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.len(), "a slot lies in its slab");
        // SAFETY: inside the mapping, as just checked.
        unsafe { self.mapping.base().add(offset) }
    }

    /// Gives the memory behind a range back to the kernel; its bytes are zero afterwards.
    ///
    /// # Safety
    /// Nobody uses the bytes of the range.
    pub(crate) unsafe fn release(&self, offset: usize, bytes: usize) {
        assert!(offset + bytes <= self.len(), "a slot lies in its slab");
        let start = self.at(offset).as_ptr();
        let answer = match &self.file {
            // SAFETY: the range is in our mapping, and nobody uses it.
            None => unsafe { libc::madvise(start.cast(), bytes, libc::MADV_DONTNEED) },
            Some((file, _)) => {
                let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
                let (fd, offset, bytes) = (file.as_raw_fd(), offset as libc::off_t, bytes as libc::off_t);
                // SAFETY: the file is ours, and nobody uses this part of it.
                unsafe { libc::fallocate(fd, mode, offset, bytes) }
            }
        };
        if answer != 0 {
            // Locked memory stays. That it is zero is what the next user counts on.
            // SAFETY: the range is in our mapping, and nobody uses it.
            unsafe { start.write_bytes(0, bytes) };
        }
    }
}

impl fmt::Debug for SlabId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slab{}", self.0)
    }
}

/// A file in memory, of zeros, that no program inherits.
fn memory_file(bytes: usize) -> io::Result<OwnedFd> {
    let len = libc::off_t::try_from(bytes).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    // SAFETY: the name ends with a zero.
    let fd = unsafe { libc::memfd_create(c"poniard".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and nobody else has it.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the descriptor is open.
    if unsafe { libc::ftruncate(file.as_raw_fd(), len) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_bytes_are_zero_and_the_others_stay() {
        for backing in [Backing::Anonymous, Backing::Memfd] {
            let slab = Slab::map(SlabId::new(1), 4 * PAGE, backing, Pages::Small).unwrap();
            // SAFETY: inside the slab, which nobody else has.
            let bytes = unsafe { std::slice::from_raw_parts_mut(slab.at(0).as_ptr(), 4 * PAGE) };
            bytes.fill(7);
            // SAFETY: the slice is not used across the call.
            unsafe { slab.release(PAGE, 2 * PAGE) };
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(slab.at(0).as_ptr(), 4 * PAGE) };
            let expected: Vec<u8> = [7, 0, 0, 7].iter().flat_map(|byte| [*byte; PAGE]).collect();
            assert!(bytes == expected, "{backing:?}");
        }
    }

    #[test]
    fn the_memory_file_shows_what_the_slab_holds() {
        use std::os::unix::fs::FileExt;
        let slab = Slab::map(SlabId::new(1), 2 * PAGE, Backing::Memfd, Pages::Small).unwrap();
        // SAFETY: inside the slab, which nobody else has.
        unsafe { slab.at(PAGE).write(42) };
        let file = std::fs::File::from(slab.file.as_ref().unwrap().0.try_clone().unwrap());
        let mut byte = [0];
        file.read_exact_at(&mut byte, PAGE as u64).unwrap();
        assert_eq!(byte, [42]);
    }
}
