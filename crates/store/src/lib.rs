//! Where results live: slabs of memory, buffers and tiles in them, chunks, their budget, and the disk.
//!
//! * `slab`, `buffer`, `tile`: memory that is pooled, aligned, and passed on without a copy.
//! * `spill`: what leaves memory when there is too little of it, and where it goes.

mod buffer;
mod slab;
mod spill;
mod tile;
