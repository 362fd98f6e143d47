//! Bytes that are passed on by reference: in a pool's slot, in a mapped file, or somebody else's.
