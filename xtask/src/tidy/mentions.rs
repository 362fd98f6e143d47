//! No file names a place outside the repository that its readers may not have.

use crate::blank::is_word;
use crate::finding::{Finding, Place};
use crate::source::Source;

/// Words that no file may hold, each in pieces so that this file does not hold them.
const FORBIDDEN: &[&[&str]] = &[
    &["..", "/shared"],
    &["/work", "/shared"],
    &["crates", ".io"],
    &["pypi", ".org"],
    &["pythonhosted", ".org"],
    &["npmjs", ".org"],
    &["deb.debian", ".org"],
    &["proxy.golang", ".org"],
];

/// Names the registry that cargo took each crate from, and nobody writes it by hand.
const LOCK_FILE: &str = "Cargo.lock";

/// Every line of the file, comments and text included, that holds a forbidden word.
pub(super) fn findings(source: &Source) -> Vec<Finding> {
    if source.path == LOCK_FILE {
        return Vec::new();
    }
    let words: Vec<String> = FORBIDDEN.iter().map(|pieces| pieces.concat()).collect();
    let mut findings = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        for word in words.iter().filter(|word| holds(line, word)) {
            let place = Place::line(&source.path, number + 1);
            findings.push(Finding::new(
                place,
                format!("`{word}` must not be named here: say what is meant instead"),
            ));
        }
    }
    findings
}

/// Whether `word` stands in `line` and is not the beginning of a longer one.
fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| !line[at + word.len()..].starts_with(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_words_are_found_anywhere_in_the_file() {
        let text = format!("// see ../{}/x\nlet host = \"{}.io\";\n", "shared", "crates");
        let lines: Vec<_> = findings(&Source::new("a.rs", text)).iter().map(|f| f.place.line).collect();
        assert_eq!(lines, [Some(1), Some(2)]);
    }

    #[test]
    fn longer_words_and_the_lock_file_are_left_alone() {
        let host = ["crates", ".io"].concat();
        assert_eq!(findings(&Source::new("a.md", format!("../{}_memory and {host}n", "shared"))), []);
        assert_eq!(findings(&Source::new("Cargo.lock", host)), []);
    }
}
