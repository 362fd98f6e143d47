//! N-dimensional arrays over buffers.
