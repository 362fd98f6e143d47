//! Cuts blanked code into words and marks: enough to follow paths and `use` trees.

use crate::blank::is_word;

/// A word, a `::`, or any other single mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    /// Counted from 1.
    pub(crate) line: usize,
}

impl Token<'_> {
    /// Whether the token is exactly this word.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.text == word
    }

    /// Whether the token is a word that can name something, rather than a mark or a step of a path.
    pub(crate) fn is_name(&self) -> bool {
        self.text.starts_with(is_word) && !matches!(self.text, "crate" | "self" | "super")
    }
}

/// The tokens of `code`, from which [`blank`](crate::blank::blank) has taken comments and literals. A raw
/// identifier loses its `r#`.
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (number, text) in code.lines().enumerate() {
        let mut rest = text.trim_start();
        while let Some(c) = rest.chars().next() {
            let raw = rest.strip_prefix("r#").filter(|after| after.starts_with(is_word));
            rest = raw.unwrap_or(rest);
            let len = if rest.starts_with(is_word) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                c.len_utf8()
            };
            tokens.push(Token { text: &rest[..len], line: number + 1 });
            rest = rest[len..].trim_start();
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_marks_and_lines_are_told_apart() {
        let seen: Vec<_> = tokens("use a::\n {r#type, b_2};").iter().map(|t| (t.text, t.line)).collect();
        let first = [("use", 1), ("a", 1), ("::", 1)];
        let second = [("{", 2), ("type", 2), (",", 2), ("b_2", 2), ("}", 2), (";", 2)];
        assert_eq!(seen, [&first[..], &second[..]].concat());
    }
}
