//! Room in the spill file: the free list, and its growth on the disk.

use super::disk::Disk;
use super::error::Error;
use super::extents::Extents;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The file grows by its own size, within these bounds: in few steps, and not far beyond what is needed.
const STEP_MIN: u64 = 64 << 20;
const STEP_MAX: u64 = 1 << 30;

/// Who has which part of the file.
#[derive(Debug)]
pub(super) struct Places {
    folder: PathBuf,
    limit: u64,
    space: Mutex<Space>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Space {
    extents: Extents,
    size: u64,
    /// Somebody waits for the disk to make the file larger; nobody holds the lock meanwhile.
    is_growing: bool,
}

impl Places {
    pub(super) fn new(folder: &Path, limit: u64) -> Places {
        Places { folder: folder.to_owned(), limit, space: Mutex::default(), grown: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `length` bytes of the file, which grows if need be.
    pub(super) fn take(&self, disk: &dyn Disk, length: u64) -> Result<u64, Error> {
        let mut space = self.lock();
        loop {
            if let Some(offset) = space.extents.take(length) {
                return Ok(offset);
            }
            if space.is_growing {
                space = self.grown.wait(space).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let size = space.size;
            let need = length - space.extents.free_before(size);
            let left = self.limit.saturating_sub(size);
            if need > left {
                return Err(Error::full(&self.folder, length, left + space.extents.free_bytes(), self.limit));
            }
            space.is_growing = true;
            drop(space);
            let step = size.clamp(STEP_MIN, STEP_MAX).max(need).min(left);
            let result = grow(disk, size, step, need);
            space = self.lock();
            space.is_growing = false;
            self.grown.notify_all();
            let grown = result.map_err(|error| self.refusal(disk, length, error))?;
            space.extents.give(size, grown);
            space.size = size + grown;
        }
    }

    /// Gives a part back.
    pub(super) fn give(&self, offset: u64, length: u64) {
        self.lock().extents.give(offset, length);
    }

    /// Bytes in use, and the size of the file.
    pub(super) fn usage(&self) -> (u64, u64) {
        let space = self.lock();
        (space.size - space.extents.free_bytes(), space.size)
    }

    /// The error for what the disk did not take.
    pub(super) fn refusal(&self, disk: &dyn Disk, length: u64, error: io::Error) -> Error {
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => {
                Error::full(&self.folder, length, disk.free(), self.limit)
            }
            _ => Error::io("enlarge the spill file in", &self.folder, error),
        }
    }
}

/// Makes the file larger by `step`, or when the disk has not as much, by `need`.
fn grow(disk: &dyn Disk, size: u64, mut step: u64, need: u64) -> io::Result<u64> {
    loop {
        let Err(error) = disk.allocate(size, step) else { return Ok(step) };
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            // The file system cannot promise room; then a write finds out.
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => return Ok(step),
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) if step > need => step = need,
            _ => return Err(error),
        }
    }
}
