//! The system calls of the spill file, behind a trait so that tests can make them fail.

use super::layout::BLOCK;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

/// A file of blocks.
pub(super) trait Disk: fmt::Debug + Send + Sync {
    /// Writes some of the bytes.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Reads some of the bytes.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Makes sure that a part of the file has its place on the disk.
    fn allocate(&self, offset: u64, length: u64) -> io::Result<()>;
    /// Bytes that the file system would still give us.
    fn free(&self) -> u64;
    /// A part was written or read, and the system need not remember it.
    fn forget(&self, offset: u64, length: u64);
    /// Whether memory must be aligned. If so, and the file system then refuses all the same, `relax` is tried.
    fn is_direct(&self) -> bool;
    /// Goes through the page cache from now on.
    fn relax(&self) -> io::Result<()>;
}

/// A file of the system, read and written around the page cache where the file system lets us.
#[derive(Debug)]
pub(super) struct SystemFile {
    file: File,
    is_direct: AtomicBool,
}

impl SystemFile {
    pub(super) fn new(file: File, is_direct: bool) -> SystemFile {
        SystemFile { file, is_direct: AtomicBool::new(is_direct) }
    }
}

impl Disk for SystemFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        let file = self.file.as_raw_fd();
        // SAFETY: the file is open, and the call touches no memory of ours.
        let result = unsafe { libc::fallocate(file, 0, offset as libc::off_t, length as libc::off_t) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn free(&self) -> u64 {
        // SAFETY: every field is a number, for which zeros are a value.
        let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: the file is open, and the call fills the structure that it is given.
        let result = unsafe { libc::fstatvfs(self.file.as_raw_fd(), &raw mut found) };
        if result == 0 { found.f_bavail.saturating_mul(found.f_frsize) } else { 0 }
    }

    fn forget(&self, offset: u64, length: u64) {
        if self.is_direct() {
            return;
        }
        let (file, offset, length) =
            (self.file.as_raw_fd(), offset as libc::off64_t, length as libc::off64_t);
        let flags = libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
        // The cache only forgets what is on the disk. Neither call can lose data, so their failures are no matter.
        // SAFETY: the file is open, and the call touches no memory of ours.
        unsafe { libc::sync_file_range(file, offset, length, flags) };
        // SAFETY: the file is open, and the call touches no memory of ours.
        unsafe { libc::posix_fadvise(file, offset, length, libc::POSIX_FADV_DONTNEED) };
    }

    fn is_direct(&self) -> bool {
        // Relaxed: a thread that has not heard of the change aligns its memory in vain.
        self.is_direct.load(Ordering::Relaxed)
    }

    fn relax(&self) -> io::Result<()> {
        let file = self.file.as_raw_fd();
        // SAFETY: the file is open, and the call touches no memory of ours.
        let flags = unsafe { libc::fcntl(file, libc::F_GETFL) };
        // SAFETY: as above.
        let result = unsafe { libc::fcntl(file, libc::F_SETFL, flags & !libc::O_DIRECT) };
        if flags < 0 || result < 0 {
            return Err(io::Error::last_os_error());
        }
        self.is_direct.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// Writes all of the bytes, through interruptions and short writes.
pub(super) fn write_all(disk: &dyn Disk, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match disk.write_at(&bytes[done..], offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => done = whole_blocks(disk, done, done + count, bytes.len())?,
            Err(error) => go_on(disk, error)?,
        }
    }
    Ok(())
}

/// Reads until the bytes are full or the file ends; tells how many there were.
pub(super) fn read_all(disk: &dyn Disk, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match disk.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            // What ends within a block is the end of the file.
            Ok(count) if !(done + count).is_multiple_of(BLOCK) && disk.is_direct() => return Ok(done + count),
            Ok(count) => done += count,
            Err(error) => go_on(disk, error)?,
        }
    }
    Ok(done)
}

/// How much counts as written, of what ends at `end` now: direct IO cannot go on within a block, so one that was begun
/// is written again.
fn whole_blocks(disk: &dyn Disk, done: usize, end: usize, all: usize) -> io::Result<usize> {
    if end == all || !disk.is_direct() {
        return Ok(end);
    }
    let whole = end - end % BLOCK;
    // Less than a block at a time would go round for ever.
    if whole > done { Ok(whole) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Passes over an interruption, and over a file system that takes no direct IO.
fn go_on(disk: &dyn Disk, error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::EINTR) => Ok(()),
        Some(libc::EINVAL) if disk.is_direct() => disk.relax(),
        _ => Err(error),
    }
}
