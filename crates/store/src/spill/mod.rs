//! Out of core: which chunks leave memory, when, and the file that takes them.
