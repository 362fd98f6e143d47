//! Aligned memory of an IO thread, for what cannot be written from where it lies.

use super::layout::{BLOCK, PIECE};
use std::alloc::{Layout, handle_alloc_error};
use std::ptr::{self, NonNull};
use std::slice;

/// Two buffers: one to gather or copy a piece in, one for its compressed form.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) plain: Aligned,
    pub(super) packed: Aligned,
}

impl Scratch {
    pub(super) fn new() -> Scratch {
        let packed = lz4_flex::block::get_maximum_output_size(PIECE).next_multiple_of(BLOCK);
        Scratch { plain: Aligned::new(PIECE), packed: Aligned::new(packed) }
    }
}

/// Memory aligned to a block, from the system and not from the allocator: that one writes zeros over what is aligned,
/// and so would take the pages of a buffer that may never be used.
#[derive(Debug)]
pub(super) struct Aligned {
    memory: NonNull<u8>,
    size: usize,
}

// SAFETY: it owns its memory, and reaches it through `&mut self` alone.
unsafe impl Send for Aligned {}

impl Aligned {
    fn new(size: usize) -> Aligned {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping takes nobody's memory.
        let memory = unsafe { libc::mmap(ptr::null_mut(), size, access, flags, -1, 0) };
        let memory = (memory != libc::MAP_FAILED).then_some(memory.cast()).and_then(NonNull::new);
        let layout = Layout::from_size_align(size, BLOCK).expect("a few pieces fit into memory");
        Aligned { memory: memory.unwrap_or_else(|| handle_alloc_error(layout)), size }
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping has this size, begins as zeros, and is borrowed as long as `self`.
        unsafe { slice::from_raw_parts_mut(self.memory.as_ptr(), self.size) }
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing refers to it.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.size) };
    }
}

/// Whether direct IO takes this memory.
pub(super) fn is_aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(BLOCK) && bytes.len().is_multiple_of(BLOCK)
}
