//! A disk in memory that does what a test wants, and what disks do at their worst.

use super::super::disk::Disk;
use super::super::error::Error;
use super::super::file::{FileOptions, SpillFile};
use super::super::layout::BLOCK;
use super::*;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What the next call does, instead of all that it is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// It fails with this number.
    Error(i32),
    /// It moves so many bytes at most.
    Short(usize),
    /// It works.
    None,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    writes: VecDeque<Fault>,
    reads: VecDeque<Fault>,
    allocations: VecDeque<Fault>,
    is_relaxed: bool,
    /// Nothing moves as long as this is set.
    is_held: bool,
    /// The calls so far, in order.
    calls: Vec<Call>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    Write,
    Read,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Faulty(Arc<(Mutex<State>, Condvar)>);

fn act(faults: &mut VecDeque<Fault>, length: usize) -> io::Result<usize> {
    match faults.pop_front().unwrap_or(Fault::None) {
        Fault::Error(number) => Err(io::Error::from_raw_os_error(number)),
        Fault::Short(count) => Ok(count.min(length)),
        Fault::None => Ok(length),
    }
}

impl Disk for Faulty {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.enter(Call::Write);
        assert!(state.is_relaxed || offset.is_multiple_of(BLOCK as u64), "direct IO is aligned");
        let count = act(&mut state.writes, bytes.len())?;
        let end = offset as usize + count;
        if state.bytes.len() < end {
            state.bytes.resize(end, 0);
        }
        state.bytes[offset as usize..end].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.enter(Call::Read);
        let left = state.bytes.len().saturating_sub(offset as usize).min(bytes.len());
        let count = act(&mut state.reads, left)?;
        bytes[..count].copy_from_slice(&state.bytes[offset as usize..offset as usize + count]);
        Ok(count)
    }

    fn allocate(&self, _: u64, length: u64) -> io::Result<()> {
        act(&mut self.lock().allocations, length as usize).map(|_| ())
    }

    fn free(&self) -> u64 {
        7
    }

    fn forget(&self, _: u64, _: u64) {}

    fn is_direct(&self) -> bool {
        !self.lock().is_relaxed
    }

    fn relax(&self) -> io::Result<()> {
        self.lock().is_relaxed = true;
        Ok(())
    }
}

impl Faulty {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    /// Waits until calls may go on, and notes this one.
    fn enter(&self, call: Call) -> MutexGuard<'_, State> {
        let mut state = self.0.1.wait_while(self.lock(), |state| state.is_held).unwrap();
        state.calls.push(call);
        state
    }

    /// Lets no call end from now on, until `release`.
    pub(super) fn hold(&self) {
        self.lock().is_held = true;
    }

    pub(super) fn release(&self) {
        self.lock().is_held = false;
        self.0.1.notify_all();
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    pub(super) fn file(&self) -> SpillFile {
        let options = FileOptions { folder: "/spill".into(), limit: 1 << 30, ..FileOptions::default() };
        SpillFile::on(Box::new(self.clone()), "/spill/chunks".into(), &options, None)
    }

    pub(super) fn on_write(&self, faults: &[Fault]) {
        self.lock().writes.extend(faults);
    }

    pub(super) fn on_read(&self, faults: &[Fault]) {
        self.lock().reads.extend(faults);
    }

    fn on_allocate(&self, faults: &[Fault]) {
        self.lock().allocations.extend(faults);
    }
}

fn write(file: &SpillFile, bytes: &[u8]) -> Result<Stored, Error> {
    file.write(ChunkId(1), &[bytes])
}

#[test]
fn interruptions_and_short_transfers_are_gone_through() {
    let disk = Faulty::default();
    let file = disk.file();
    let bytes = noise(300_000, 1);
    disk.on_write(&[
        Fault::Error(libc::EINTR),
        Fault::Short(5_000),
        Fault::Error(libc::EINTR),
        Fault::Short(8192),
    ]);
    disk.on_read(&[Fault::Short(4096), Fault::Error(libc::EINTR), Fault::Short(12_288)]);
    let stored = write(&file, &bytes).unwrap();
    assert_eq!(read(&stored).unwrap(), [bytes]);
}

#[test]
fn a_file_system_without_direct_io_is_used_through_the_cache() {
    let disk = Faulty::default();
    let file = disk.file();
    disk.on_write(&[Fault::Error(libc::EINVAL), Fault::Short(5_000)]);
    let bytes = noise(300_001, 2);
    assert_eq!(read(&write(&file, &bytes).unwrap()).unwrap(), [bytes]);
    assert!(!disk.is_direct());
}

#[test]
fn a_refused_write_names_the_place_keeps_the_number_and_is_not_tried_there_again() {
    let disk = Faulty::default();
    let file = disk.file();
    disk.on_write(&[Fault::None, Fault::Error(libc::EIO)]);
    let bytes = noise(9 << 20, 3);
    let error = write(&file, &bytes).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    let piece = 4 << 20;
    assert!(error.to_string().starts_with("cannot write /spill/chunks at offset 4194304: "), "{error}");
    assert_eq!(file.bytes_used(), piece, "the first piece was given back, the bad place was not");
    let stored = write(&file, &bytes).unwrap();
    assert_eq!(read(&stored).unwrap(), [bytes]);
}

#[test]
fn a_refused_read_is_exact_and_loses_nothing() {
    let disk = Faulty::default();
    let file = disk.file();
    let bytes = noise(100_000, 4);
    let stored = write(&file, &bytes).unwrap();
    disk.on_read(&[Fault::Error(libc::EIO)]);
    let error = read(&stored).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    assert_eq!(read(&stored).unwrap(), [bytes], "the disk has recovered");
}

#[test]
fn a_full_disk_is_known_before_anything_is_written() {
    let disk = Faulty::default();
    let file = disk.file();
    disk.on_allocate(&[Fault::Error(libc::ENOSPC), Fault::Error(libc::ENOSPC)]);
    let error = write(&file, &noise(100_000, 5)).unwrap_err();
    assert!(error.is_full());
    assert_eq!(
        error.to_string(),
        "no room to spill 98304 bytes to /spill: 7 are free, the limit is 1073741824"
    );
    let stored = write(&file, &noise(100_000, 5)).unwrap();
    assert_eq!(file.bytes_used(), stored.bytes());
}

#[test]
fn a_disk_that_fills_up_while_it_is_written_gives_the_place_back() {
    let disk = Faulty::default();
    let file = disk.file();
    disk.on_allocate(&[Fault::Error(libc::EOPNOTSUPP)]);
    disk.on_write(&[Fault::None, Fault::Error(libc::ENOSPC)]);
    assert!(write(&file, &noise(100_000, 6)).unwrap_err().is_full());
    assert_eq!(file.bytes_used(), 0);
}

#[test]
fn a_write_that_takes_nothing_is_an_error() {
    let disk = Faulty::default();
    let file = disk.file();
    disk.on_write(&[Fault::Short(0)]);
    assert!(write(&file, &noise(100_000, 7)).is_err());
    disk.on_write(&[Fault::Short(100)]);
    assert!(write(&file, &noise(100_000, 7)).is_err(), "direct IO cannot go on within a block");
}
