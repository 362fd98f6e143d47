//! What loom plays.
