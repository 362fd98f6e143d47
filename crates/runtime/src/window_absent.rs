//! Where a program says what it does, in a build that cannot.

/// Nobody can ask this program.
pub fn open() {
    eprintln!("`poniard status` does not find this program: it was built without the feature `cluster`");
}

/// There is nothing to close.
pub fn close() {}
