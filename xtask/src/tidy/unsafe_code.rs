//! Unsafe code stays in the crates that own memory; every other crate forbids it to itself.

use crate::finding::{Finding, Place};
use crate::source::{Source, lines_with_word};

/// The folders of the crates that own memory or speak to a device.
const UNSAFE_FOLDERS: &[&str] = &["crates/pool/", "crates/store/", "crates/gpu/"];

/// The files elsewhere: what another process says of code, and what is called before `main`.
const UNSAFE_FILES: &[&str] = &["crates/runtime/src/code.rs", "crates/runtime/src/enter.rs"];

/// Each `unsafe` outside the crates that may use it, tests included.
pub(super) fn findings(source: &Source) -> Vec<Finding> {
    if may_be_unsafe(source) {
        return Vec::new();
    }
    let places = [UNSAFE_FOLDERS, UNSAFE_FILES].concat();
    let what = format!("`unsafe` belongs in {}", places.join(", "));
    let lines = lines_with_word(&source.code, "unsafe");
    lines.into_iter().map(|line| Finding::new(Place::line(&source.path, line), what.clone())).collect()
}

/// The missing `forbid` of the root of a library or an executable.
pub(super) fn root_finding(root: &Source) -> Option<Finding> {
    // What is forbidden in a root cannot be allowed in a file below.
    let folder = root.path.strip_suffix("lib.rs");
    let is_above_file = folder.is_some_and(|folder| UNSAFE_FILES.iter().any(|file| file.starts_with(folder)));
    let word = if is_above_file { "deny" } else { "forbid" };
    let forbids = root.code.contains(&format!("#![{word}(unsafe_code)]"));
    let what = format!("lacks `#![{word}(unsafe_code)]` below its `//!` lines");
    (!forbids && !may_be_unsafe(root)).then(|| Finding::new(Place::file(&root.path), what))
}

fn may_be_unsafe(source: &Source) -> bool {
    UNSAFE_FILES.contains(&source.path.as_str())
        || UNSAFE_FOLDERS.iter().any(|folder| source.path.starts_with(folder))
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
        assert!(root("crates/runtime/src/lib.rs", "//! A.\n"));
        assert!(!root("crates/runtime/src/lib.rs", "//! A.\n#![deny(unsafe_code)]\n"));
    }
}
