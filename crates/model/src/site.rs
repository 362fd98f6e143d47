//! Where in the user's source a task was spawned.

use std::fmt;

/// The name of a task's function and the place of its spawn: one static a use of `spawn!`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// The function as the user wrote it, for example `add1` or `stats::mean`.
    pub name: &'static str,
    /// The source file of the spawn.
    pub file: &'static str,
    /// The line of the spawn, from 1.
    pub line: u32,
}

impl Site {
    /// A site, usually a `static` made by the `spawn!` macro.
    pub const fn new(name: &'static str, file: &'static str, line: u32) -> Site {
        Site { name, file, line }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
