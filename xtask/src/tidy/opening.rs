//! Every crate says in its first lines what it is.

use crate::finding::{Finding, Place};
use crate::source::Source;

/// The missing sentence at the top of a crate's root.
pub(super) fn finding(root: &Source) -> Option<Finding> {
    let what = "does not open with a `//!` sentence that says what the crate is";
    (!opens_with_sentence(&root.text)).then(|| Finding::new(Place::file(&root.path), what))
}

/// Whether the first paragraph is a `//!` comment that ends like a sentence, or with the colon before a list.
fn opens_with_sentence(text: &str) -> bool {
    let paragraph: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .take_while(|l| !l.is_empty())
        .collect();
    paragraph.first().is_some_and(|first| !first.starts_with('#'))
        && paragraph.last().is_some_and(|last| last.ends_with(['.', '!', '?', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_opens_with_a_sentence() {
        assert!(opens_with_sentence("//! Keeps chunks.\n//!\n//! More\n"));
        assert!(opens_with_sentence("//! Keeps chunks,\n//! and spills them.\n#![forbid(unsafe_code)]\n"));
    }

    #[test]
    fn a_heading_a_title_and_silence_are_no_sentence() {
        for text in
            ["", "#![forbid(unsafe_code)]\n//! Late.", "//! # Title.\n", "//! Chunk store\n", "// Aside."]
        {
            assert!(finding(&Source::new("lib.rs", text)).is_some(), "{text:?}");
        }
    }
}
