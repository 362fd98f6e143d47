//! Nothing half-done is left behind: no placeholders, no marks for later, no tests that do not run.

use crate::blank::is_word;
use crate::finding::{Finding, Place};
use crate::source::{Source, line_at, lines_with_word};

/// Code that stands for code still to be written, or hides a test.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("todo!", "write what is missing, or leave it out"),
    ("unimplemented!", "write what is missing, or leave it out"),
    ("#[ignore", "a test runs or goes; one that cannot run here says so and returns"),
];

/// Words that put something off. They are made of pieces so that this file may name them.
const MARKS: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X")];

/// Every leftover of the file, in comments and tests too.
pub(super) fn findings(source: &Source) -> Vec<Finding> {
    let place = |line| Place::line(&source.path, line);
    let mut findings = Vec::new();
    for (word, advice) in PLACEHOLDERS {
        let lines = placeholder_lines(&source.code, word);
        findings.extend(lines.map(|line| Finding::new(place(line), format!("`{word}`: {advice}"))));
    }
    for mark in MARKS {
        let lines = lines_with_word(&source.text, mark).into_iter();
        findings.extend(lines.map(|line| Finding::new(place(line), format!("`{mark}`: do it or file it"))));
    }
    findings
}

fn placeholder_lines(code: &str, word: &str) -> impl Iterator<Item = usize> {
    let starts_word = |at: &usize| !code[..*at].ends_with(is_word);
    code.match_indices(word).map(|(at, _)| at).filter(starts_word).map(|at| line_at(code, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Option<usize>> {
        findings(&Source::new("a.rs", text)).iter().map(|finding| finding.place.line).collect()
    }

    #[test]
    fn placeholders_count_in_code_only() {
        assert_eq!(lines("fn f() {\n todo!() }\nfn g() { unimplemented!(\"~\") }"), [Some(2), Some(3)]);
        assert_eq!(lines("// todo!()\nlet a = \"unimplemented!()\"; my_todo!();"), []);
    }

    #[test]
    fn an_ignored_test_is_found_with_or_without_a_reason() {
        assert_eq!(
            lines("#[test]\n#[ignore]\nfn a() {}\n#[ignore = \"slow\"]\nfn b() {}"),
            [Some(2), Some(4)]
        );
    }

    #[test]
    fn marks_count_in_comments_too_but_only_as_whole_words() {
        assert_eq!(
            lines(concat!("// FIX", "ME later\n/// XX", "X\nlet a = \"XX", "XL\";")),
            [Some(1), Some(2)]
        );
    }
}
