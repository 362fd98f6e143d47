//! Blanks out what the compiler does not read as code: comments, and the insides of literals.
//!
//! Lines stay where they were, so that a place found in the blanked text is a place in the file. A comment
//! becomes spaces and the inside of a literal becomes [`FILLER`], so that a line of a long string still counts
//! as a line of code.

/// Stands for each character inside a string or character literal; means nothing in Rust.
pub(crate) const FILLER: char = '~';

/// Returns `text` with comments and the insides of string and character literals blanked out.
pub(crate) fn blank(text: &str) -> String {
    let mut blanker =
        Blanker { chars: text.chars().collect(), at: 0, out: String::with_capacity(text.len()) };
    while blanker.at < blanker.chars.len() {
        blanker.step();
    }
    blanker.out
}

struct Blanker {
    chars: Vec<char>,
    /// The next character to read.
    at: usize,
    out: String,
}

impl Blanker {
    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (Some('/'), Some('/')) => self.line_comment(),
            (Some('/'), Some('*')) => self.block_comment(),
            (Some('"'), _) => self.string(),
            (Some('\''), _) => self.quote(),
            (Some('r'), _) => match self.raw_hashes() {
                Some(hashes) => self.raw_string(hashes),
                None => self.keep(1),
            },
            _ => self.keep(1),
        }
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.replace(' ');
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.peek(0).is_some() {
            let step = match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => 1,
                (Some('*'), Some('/')) => -1,
                _ => 0,
            };
            depth += step;
            self.replace(' ');
            if step != 0 {
                self.replace(' ');
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.keep(1);
        while let Some(c) = self.peek(0) {
            match c {
                '"' => return self.keep(1),
                '\\' => {
                    self.replace(FILLER);
                    self.replace(FILLER);
                }
                _ => self.replace(FILLER),
            }
        }
    }

    /// Tells a character literal from a lifetime or a loop's label.
    fn quote(&mut self) {
        let is_literal = self.peek(1) == Some('\\') || self.peek(2) == Some('\'');
        self.keep(1);
        if !is_literal {
            return;
        }
        if self.peek(0) == Some('\\') {
            self.replace(FILLER);
        }
        self.replace(FILLER);
        while self.peek(0).is_some_and(|c| c != '\'') {
            self.replace(FILLER);
        }
        self.keep(1);
    }

    /// The number of `#` of the raw string whose `r` is next, if one is.
    fn raw_hashes(&self) -> Option<usize> {
        let before = |back: usize| self.at.checked_sub(back).map(|at| self.chars[at]);
        let is_inside_word = match before(1) {
            Some('b' | 'c') => before(2).is_some_and(is_word),
            Some(c) => is_word(c),
            None => false,
        };
        let hashes = self.chars[self.at + 1..].iter().take_while(|c| **c == '#').count();
        (!is_inside_word && self.peek(1 + hashes) == Some('"')).then_some(hashes)
    }

    fn raw_string(&mut self, hashes: usize) {
        self.keep(1 + hashes + 1);
        while self.peek(0).is_some() {
            if self.peek(0) == Some('"') && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                return self.keep(1 + hashes);
            }
            self.replace(FILLER);
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn keep(&mut self, count: usize) {
        let end = (self.at + count).min(self.chars.len());
        self.out.extend(&self.chars[self.at..end]);
        self.at = end;
    }

    /// Writes `with` for the next character, unless that is white space, which stays as it is.
    fn replace(&mut self, with: char) {
        if let Some(c) = self.peek(0) {
            self.out.push(if c.is_whitespace() { c } else { with });
            self.at += 1;
        }
    }
}

/// Whether `c` can be part of an identifier.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_become_spaces_and_lines_stay() {
        assert_eq!(blank("a // b\nc"), "a     \nc");
        assert_eq!(blank("a /* b /* c */\n d */ e"), "a             \n      e");
        assert_eq!(blank("/// doc\nfn f() {}"), "       \nfn f() {}");
    }

    #[test]
    fn the_inside_of_a_string_becomes_filler() {
        assert_eq!(blank(r#"f("a\"b") // c"#), r#"f("~~~~")     "#);
        assert_eq!(blank("\"// no comment\" x"), "\"~~ ~~ ~~~~~~~\" x");
        assert_eq!(blank("b\"x\" c\"y\""), "b\"~\" c\"~\"");
    }

    #[test]
    fn raw_strings_end_at_their_own_hashes() {
        assert_eq!(blank("r#\"a\"b\"# c"), "r#\"~~~\"# c");
        assert_eq!(blank("br\"\\\" c"), "br\"~\" c");
        assert_eq!(blank("r#type r#\"x\"#"), "r#type r#\"~\"#");
        assert_eq!(blank("for\"x\""), "for\"~\"");
    }

    #[test]
    fn lifetimes_are_no_character_literals() {
        assert_eq!(blank("&'a str, '\"', '\\'', b'x', '\\u{41}'"), "&'a str, '~', '~~', b'~', '~~~~~~'");
        assert_eq!(blank("'outer: loop { f('/', '/') }"), "'outer: loop { f('~', '~') }");
    }

    #[test]
    fn an_unfinished_literal_ends_with_the_text() {
        assert_eq!(blank("\"abc"), "\"~~~");
        assert_eq!(blank("/* abc"), "      ");
        assert_eq!(blank("r#\"abc\""), "r#\"~~~~");
    }
}
