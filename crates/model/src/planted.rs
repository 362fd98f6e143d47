//! Bugs that tests plant, to see that they would find them.

/// `planted!(lost_reply)`: whether that bug is planted in this thread. Outside of a crate's own tests it is the word `false`, so no
/// program has any of it; in them the crate says which one is planted (`tests/planted.rs`). `cargo xtask planted` shows them all.
#[macro_export]
#[allow(clippy::crate_in_macro_def, reason = "which bug is planted is known to the crate that has the bug")]
macro_rules! planted {
    ($bug:ident) => {{
        #[cfg(test)]
        let is_planted = crate::planted::is(stringify!($bug));
        #[cfg(not(test))]
        let is_planted = false;
        is_planted
    }};
}
