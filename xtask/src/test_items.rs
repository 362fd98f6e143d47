//! Finds what is compiled for tests alone: the items under `#[cfg(test)]`.
//!
//! Works on text that [`blank`](crate::blank) has been through, where every bracket is a bracket of code.

use std::ops::Range;

use crate::blank::is_word;

/// Words that start an item, after its visibility; anything else under an attribute is a field, a variant or an
/// arm, which ends at its comma.
const ITEM_WORDS: &[&str] = &[
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "let",
    "macro_rules",
    "mod",
    "static",
    "struct",
    "trait",
    "type",
    "union",
    "unsafe",
    "use",
];

/// Returns `code` with every test item blanked out; lines stay where they were.
pub(crate) fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut copied = 0;
    for item in test_items(code) {
        out.push_str(&code[copied..item.start]);
        out.extend(code[item.clone()].chars().map(|c| if c.is_whitespace() { c } else { ' ' }));
        copied = item.end;
    }
    out.push_str(&code[copied..]);
    out
}

/// The names of the modules that `code` declares for tests alone and keeps in files of their own.
pub(crate) fn test_modules(code: &str) -> Vec<String> {
    test_items(code).iter().filter_map(|item| outlined_module(&code[item.clone()])).collect()
}

fn outlined_module(item: &str) -> Option<String> {
    let name = item.strip_suffix(';')?.trim_end().rsplit(char::is_whitespace).next()?;
    let before = item[..item.rfind(name)?].trim_end();
    (before.ends_with("mod") && name.chars().all(is_word)).then(|| name.to_owned())
}

/// Where the test items of `code` are, from the `#` of their attribute on, in order.
fn test_items(code: &str) -> Vec<Range<usize>> {
    const OPENING: &str = "#[cfg(";
    let mut items = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find(OPENING) {
        let start = from + found;
        let attribute_end = closing(code, start + 1);
        let inside = code[start + OPENING.len()..attribute_end].trim_end_matches(']').trim_end();
        if inside.strip_suffix(')').is_some_and(needs_test) {
            from = item_end(code, attribute_end);
            items.push(start..from);
        } else {
            from = attribute_end;
        }
    }
    items
}

/// Whether a condition of a `cfg` can only hold in a test build. What is not understood is taken to hold elsewhere
/// too, so that more is checked rather than less.
fn needs_test(condition: &str) -> bool {
    let condition = condition.trim();
    let arguments = |name: &str| condition.strip_prefix(name)?.trim().strip_prefix('(')?.strip_suffix(')');
    if let Some(all) = arguments("all") {
        conditions(all).into_iter().any(needs_test)
    } else if let Some(any) = arguments("any") {
        !any.trim().is_empty() && conditions(any).into_iter().all(needs_test)
    } else {
        condition == "test"
    }
}

/// The arguments of an `all` or `any`, cut at the commas that stand in no bracket.
fn conditions(arguments: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let is_cut = |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && c == ','
    };
    arguments.split(is_cut).filter(|condition| !condition.trim().is_empty()).collect()
}

/// Past the bracket that closes the one at `open`.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code[open..].char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return open + at + 1;
        }
    }
    code.len()
}

/// Past the item that starts at `from`, its further attributes included.
fn item_end(code: &str, from: usize) -> usize {
    let mut at = from;
    loop {
        at += code[at..].len() - code[at..].trim_start().len();
        if !code[at..].starts_with("#[") {
            break;
        }
        at = closing(code, at + 1);
    }
    let ends_at_comma = !starts_item(&code[at..]);
    while let Some(c) = code[at..].chars().next() {
        match c {
            ';' => return at + 1,
            ',' if ends_at_comma => return at + 1,
            '{' => return closing(code, at),
            '(' | '[' => at = closing(code, at),
            // The end of what the item stands in.
            '}' | ')' | ']' => return at,
            _ => at += c.len_utf8(),
        }
    }
    code.len()
}

fn starts_item(code: &str) -> bool {
    let mut rest = code;
    if let Some(after) = rest.strip_prefix("pub") {
        rest = after.trim_start();
        if rest.starts_with('(') {
            rest = rest[closing(rest, 0)..].trim_start();
        }
    }
    ITEM_WORDS.contains(&rest.split(|c| !is_word(c)).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tests_module_is_blanked_to_its_last_brace() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { }\n}\nfn c() {}\n";
        assert_eq!(without_tests(code), "fn a() {}\n            \n           \n           \n \nfn c() {}\n");
    }

    #[test]
    fn every_kind_of_test_item_goes_and_its_neighbours_stay() {
        let left = |code| without_tests(code).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(left("#[cfg(test)] use crate::{a, b};\nuse c;"), "; use c;");
        assert_eq!(left("#[cfg(all(test, loom))] #[path = \"~\"] pub(crate) mod d { } e"), "e");
        assert_eq!(left("#[cfg(test)] fn f<A, B>(x: [u8; 2]) -> A { x } g"), "g");
        assert_eq!(left("struct S { #[cfg(test)] seen: u8, kept: u8 }"), "struct S { kept: u8 }");
        assert_eq!(left("struct S { #[cfg(test)] seen: u8 }"), "struct S { }");
    }

    #[test]
    fn a_condition_that_can_hold_elsewhere_is_no_test() {
        for code in
            ["#[cfg(not(test))] mod a {}", "#[cfg(any(test, loom))] mod a {}", "#[cfg(unix)] mod a {}"]
        {
            assert_eq!(without_tests(code), code);
        }
    }

    #[test]
    fn modules_with_their_own_file_are_named() {
        let code = "#[cfg(test)] mod tests;\n#[cfg(all(test, loom))] pub(crate) mod loom_tests ;\nmod task;\n\
                    #[cfg(test)] mod inline {}";
        assert_eq!(test_modules(code), ["tests", "loom_tests"]);
    }
}
