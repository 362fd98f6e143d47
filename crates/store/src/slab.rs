//! Pooled memory: slabs, cut into slots.
