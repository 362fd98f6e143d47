//! A text file of the repository, and, for Rust, the parts of it that the checks look at.

use std::collections::BTreeSet;

use crate::blank::{blank, is_word};
use crate::test_items::{test_modules, without_tests};

/// A text file, read once for all checks.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the repository's root, with `/` between folders.
    pub(crate) path: String,
    pub(crate) text: String,
    /// `text` without comments and the insides of literals; empty when the file is not Rust.
    pub(crate) code: String,
    /// `code` without what is compiled for tests alone; empty when that is the whole file.
    pub(crate) product: String,
}

impl Source {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let code = if path.ends_with(".rs") { blank(&text) } else { String::new() };
        let product = without_tests(&code);
        Self { path, text, code, product }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The path without its ending: `crates/pool/src/edge`.
    fn stem(&self) -> &str {
        self.path.strip_suffix(".rs").unwrap_or(&self.path)
    }

    /// The folder in which the modules that this file declares are looked for.
    fn module_folder(&self) -> &str {
        match self.stem().rsplit_once('/') {
            Some((folder, "lib" | "main" | "mod")) => folder,
            _ => self.stem(),
        }
    }
}

/// Empties the product of the files that hold nothing but tests: modules declared under `#[cfg(test)]`, whole
/// folders of them included, and any `tests.rs`.
pub(crate) fn set_test_files_apart(sources: &mut [Source]) {
    let declared: BTreeSet<String> = sources
        .iter()
        .flat_map(|source| {
            test_modules(&source.code).into_iter().map(|name| format!("{}/{name}", source.module_folder()))
        })
        .collect();
    for source in sources.iter_mut() {
        let stem = source.stem();
        let is_declared = stem
            .match_indices('/')
            .map(|(at, _)| &stem[..at])
            .chain([stem])
            .any(|prefix| declared.contains(prefix));
        if is_declared || stem.ends_with("/tests") {
            source.product.clear();
        }
    }
}

/// The lines, counted from 1, on which `word` stands in `text` as a whole word, once for each time it does.
pub(crate) fn lines_with_word(text: &str, word: &str) -> Vec<usize> {
    let stands_alone = |at: usize| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    };
    text.match_indices(word).filter(|(at, _)| stands_alone(*at)).map(|(at, _)| line_at(text, at)).collect()
}

/// The line, counted from 1, of the byte at `at`.
pub(crate) fn line_at(text: &str, at: usize) -> usize {
    1 + text[..at].matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_whole_and_with_its_line() {
        assert_eq!(lines_with_word("safe unsafe\nunsafe_code\n(unsafe)", "unsafe"), [1, 3]);
        assert_eq!(lines_with_word("", "unsafe"), [0; 0]);
    }

    #[test]
    fn files_of_tests_have_no_product() {
        let mut sources = [
            Source::new("crates/a/src/lib.rs", "mod b;\n#[cfg(all(test, loom))]\nmod loom_tests;"),
            Source::new("crates/a/src/loom_tests.rs", "fn law() {}"),
            Source::new("crates/a/src/loom_tests/deep.rs", "fn law() {}"),
            Source::new("crates/a/src/b.rs", "fn f() {}\n#[cfg(test)]\nmod laws;"),
            Source::new("crates/a/src/b/laws.rs", "fn law() {}"),
            Source::new("crates/a/src/c/tests.rs", "fn law() {}"),
            Source::new("crates/a/src/laws.rs", "fn product() {}"),
        ];
        set_test_files_apart(&mut sources);
        let products: Vec<_> =
            sources.iter().filter(|s| !s.product.is_empty()).map(|s| &s.path[..]).collect();
        assert_eq!(products, ["crates/a/src/lib.rs", "crates/a/src/b.rs", "crates/a/src/laws.rs"]);
    }

    #[test]
    fn only_rust_is_read_as_rust() {
        assert_eq!(Source::new("README.md", "unsafe").code, "");
        assert_eq!(Source::new("a.rs", "unsafe").code, "unsafe");
    }
}
