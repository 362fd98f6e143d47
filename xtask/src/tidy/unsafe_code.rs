//! Unsafe code stays in the crates that own memory; every other crate forbids it to itself.

use crate::finding::{Finding, Place};
use crate::source::{Source, lines_with_word};

/// The folders of the crates that own memory or speak to a device.
const UNSAFE_FOLDERS: &[&str] = &["crates/pool/", "crates/store/", "crates/gpu/"];

/// Each `unsafe` outside the crates that may use it, tests included.
pub(super) fn findings(source: &Source) -> Vec<Finding> {
    if may_be_unsafe(source) {
        return Vec::new();
    }
    let what = format!("`unsafe` belongs in {}", UNSAFE_FOLDERS.join(", "));
    let lines = lines_with_word(&source.code, "unsafe");
    lines.into_iter().map(|line| Finding::new(Place::line(&source.path, line), what.clone())).collect()
}

/// The missing `forbid` of the root of a library or an executable.
pub(super) fn root_finding(root: &Source) -> Option<Finding> {
    let forbids = root.code.contains("#![forbid(unsafe_code)]");
    let what = "lacks `#![forbid(unsafe_code)]` below its `//!` lines";
    (!forbids && !may_be_unsafe(root)).then(|| Finding::new(Place::file(&root.path), what))
}

fn may_be_unsafe(source: &Source) -> bool {
    UNSAFE_FOLDERS.iter().any(|folder| source.path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_is_found_in_code_only_and_outside_the_memory_crates_only() {
        let text = "// unsafe\nfn f() { unsafe { g(\"unsafe\") } }\n#![allow(unsafe_code)]";
        let found = findings(&Source::new("crates/model/src/ids.rs", text));
        assert_eq!(found.iter().map(|f| f.place.line).collect::<Vec<_>>(), [Some(2)]);
        assert_eq!(findings(&Source::new("crates/pool/src/task.rs", text)), []);
    }

    #[test]
    fn a_root_must_forbid_unsafe_code_itself() {
        let root = |path, text| root_finding(&Source::new(path, text)).is_some();
        assert!(!root("crates/model/src/lib.rs", "//! A.\n#![forbid(unsafe_code)]\n"));
        assert!(root("crates/model/src/lib.rs", "//! A.\n// #![forbid(unsafe_code)]\n"));
        assert!(!root("crates/pool/src/lib.rs", "//! A.\n"));
    }
}
