//! A file is named for its purpose, never for being a place to put things.

use crate::finding::{Finding, Place};
use crate::source::Source;

const KINDS: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

/// The first folder or file name on the path that says nothing.
pub(super) fn finding(source: &Source) -> Option<Finding> {
    let stem = source.path.strip_suffix(".rs").unwrap_or(&source.path);
    let name = stem.split('/').find(|name| KINDS.contains(name))?;
    let what = format!("`{name}` says nothing: name it for what it is about");
    Some(Finding::new(Place::file(&source.path), what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_need_a_purpose() {
        let is_refused = |path| finding(&Source::new(path, "")).is_some();
        assert!(is_refused("crates/pool/src/utils.rs"));
        assert!(is_refused("crates/pool/tests/common/mod.rs"));
        assert!(!is_refused("crates/pool/src/interval.rs"));
        assert!(!is_refused("crates/pool/src/common_subexpression.rs"));
    }
}
