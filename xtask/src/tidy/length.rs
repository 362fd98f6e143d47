//! A file that has grown past one noun is split.

use crate::finding::{Finding, Place};
use crate::source::Source;

/// Lines of code in a file, without blank lines, comments and tests: past this nobody reads it in one go.
const CODE_LINES_MAX: usize = 500;

/// Says by how much a file is too long.
pub(super) fn finding(source: &Source) -> Option<Finding> {
    let lines = code_lines(source);
    let what = format!("has {lines} lines of code, at most {CODE_LINES_MAX} are allowed: split it by noun");
    (lines > CODE_LINES_MAX).then(|| Finding::new(Place::file(&source.path), what))
}

fn code_lines(source: &Source) -> usize {
    source.product.lines().filter(|line| !line.trim().is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_comments_and_tests_do_not_count() {
        let text = "//! Doc.\n\nfn f() {\n    // why\n    g(\"a\n b\")\n}\n#[cfg(test)]\nmod tests {\n fn t() {}\n}\n";
        assert_eq!(code_lines(&Source::new("a.rs", text)), 4);
    }

    #[test]
    fn a_file_is_too_long_from_the_first_line_past_the_limit() {
        let of_lines = |count| finding(&Source::new("a.rs", "f();\n".repeat(count)));
        assert_eq!(of_lines(CODE_LINES_MAX), None);
        let found = of_lines(CODE_LINES_MAX + 1).unwrap();
        assert!(found.what.starts_with("has 501 lines"), "{found}");
    }
}
