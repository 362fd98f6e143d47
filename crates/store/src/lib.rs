//! Where results live: slabs of memory, buffers and tiles in them, chunks, their budget, and the disk.
//!
//! * `mapping`, `size`, `extents`, `slab`, `arena`: memory that is pooled and aligned; `refusal`: why there is none.
//! * `buffer`, `shape`, `elem`, `tile`, `blob`: bytes and arrays in it, passed on without a copy; `travel`: how they are
//!   written.
//! * `place`, `neighbour`: memory of other processes of this host.
//! * `refs`: who has handles of a chunk, in several processes.
//! * `spill`: what leaves memory when there is too little of it, and where it goes.

mod arena;
mod blob;
mod buffer;
mod elem;
mod extents;
mod mapping;
mod neighbour;
mod place;
#[cfg(test)]
#[path = "../../../tests/planted.rs"]
mod planted;
pub mod refs;
mod refusal;
mod shape;
mod size;
mod slab;
pub mod spill;
mod tile;
mod travel;
mod user;

pub use arena::{Arena, ArenaConfig, ArenaUsage};
pub use blob::Blob;
pub use buffer::{Buf, BufMut, Place};
pub use elem::{DType, Elem};
pub use neighbour::Neighbours;
pub use place::SharedPlace;
pub use refusal::TakeError;
pub use shape::{DIMS_MAX, Order, ShapeError};
pub use slab::{Backing, SlabId};
pub use tile::{Tile, TileError};
pub use user::{own_user, peer_user};
