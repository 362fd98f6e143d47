//! Aligned memory of an IO thread, for what cannot be written from where it lies.

use super::layout::{BLOCK, PIECE};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
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

/// Memory aligned to a block. The system hands out its pages as they are touched.
#[derive(Debug)]
pub(super) struct Aligned {
    memory: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns its memory, and reaches it through `&mut self` alone.
unsafe impl Send for Aligned {}

impl Aligned {
    fn new(size: usize) -> Aligned {
        assert!(size > 0);
        let layout = Layout::from_size_align(size, BLOCK).expect("a few pieces fit into memory");
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout));
        Aligned { memory, layout }
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the memory has this size, was zeroed, and is borrowed as long as `self`.
        unsafe { slice::from_raw_parts_mut(self.memory.as_ptr(), self.layout.size()) }
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout and is given back once.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

/// Whether direct IO takes this memory.
pub(super) fn is_aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(BLOCK) && bytes.len().is_multiple_of(BLOCK)
}
