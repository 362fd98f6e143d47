//! Where bytes are that other processes of this host may read.

use serde::{Deserialize, Serialize};
use std::os::fd::AsRawFd;

/// Where bytes are in a memory file, so that other processes of this host find them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedPlace {
    pub(crate) file: SharedFile,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// A memory file, as another process of this host finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SharedFile {
    pub(crate) process: u32,
    pub(crate) descriptor: i32,
    /// That it is this file, and not one that came later.
    pub(crate) inode: u64,
    pub(crate) bytes: u64,
}

impl SharedPlace {
    pub(crate) fn new(file: SharedFile, offset: usize, len: usize) -> SharedPlace {
        SharedPlace { file, offset: offset as u64, len: len as u64 }
    }

    /// How many bytes lie there.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether none do.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl SharedFile {
    /// A file that this process has open, of this size.
    pub(crate) fn of(file: &impl AsRawFd, inode: u64, bytes: u64) -> SharedFile {
        SharedFile { process: std::process::id(), descriptor: file.as_raw_fd(), inode, bytes }
    }
}
