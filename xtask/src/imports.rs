//! Which top module of a crate names which other: the graph behind the rule that imports point down.
//!
//! A top module is a file `src/x.rs`, a folder `src/x/`, or both. The crate's root is none: it declares the others
//! and re-exports their words. A path through such a re-export (`crate::Task`) counts as a path to the module that
//! the word comes from.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Place;
use crate::source::Source;
use crate::tokens::{Token, tokens};

/// The first place where a module (the outer key) names another (the inner key).
pub(crate) type Imports = BTreeMap<String, BTreeMap<String, Place>>;

/// Stands for the standard library's atomics or loom's, so it is below everything and may name anything.
const BELOW_EVERYTHING: &str = "sync";

/// Reads the imports among the top modules of the crate whose files, all below `folder`, are `sources`.
pub(crate) fn imports(folder: &str, sources: &[&Source]) -> Imports {
    let modules: BTreeSet<&str> = sources.iter().filter_map(|s| top_module(folder, s)).collect();
    let words = reexports(folder, sources, &modules);
    let mut imports = Imports::new();
    for source in sources {
        let Some(from) = top_module(folder, source) else { continue };
        for (head, line) in root_paths(&tokens(&source.product), depth(folder, source)) {
            let to = if modules.contains(head) { Some(head) } else { words.get(head).map(String::as_str) };
            if let Some(to) = to.filter(|to| *to != from) {
                let seen = imports.entry(from.to_owned()).or_default();
                seen.entry(to.to_owned()).or_insert_with(|| Place::line(&source.path, line));
            }
        }
    }
    imports
}

fn below<'a>(folder: &str, source: &'a Source) -> Option<&'a str> {
    source.path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".rs")
}

/// The top module that the file belongs to; none for roots, other executables, tests and `sync`.
fn top_module<'a>(folder: &str, source: &'a Source) -> Option<&'a str> {
    let top = below(folder, source)?.split('/').next()?;
    let is_module = !matches!(top, "lib" | "main" | "bin" | BELOW_EVERYTHING) && !source.product.is_empty();
    is_module.then_some(top)
}

/// How many `super` lead from the file's own module to the crate's root.
fn depth(folder: &str, source: &Source) -> usize {
    let below = below(folder, source).unwrap_or_default();
    below.strip_suffix("/mod").unwrap_or(below).split('/').count()
}

/// The words that the root takes from a top module, with that module.
fn reexports(folder: &str, sources: &[&Source], modules: &BTreeSet<&str>) -> BTreeMap<String, String> {
    let mut words = BTreeMap::new();
    let roots = sources.iter().filter(|s| matches!(below(folder, s), Some("lib" | "main")));
    for root in roots {
        let tokens = tokens(&root.product);
        for (at, token) in tokens.iter().enumerate() {
            if token.is_word("use") {
                leaves(&tokens, at + 1, None, &mut words);
            }
        }
    }
    words.retain(|_, module| modules.contains(module.as_str()));
    words
}

/// Collects the words that the `use` tree at `at` brings in, each with the first name of its path, which is `head`
/// inside a group. Returns where the tree ends.
fn leaves(
    tokens: &[Token<'_>],
    at: usize,
    head: Option<&str>,
    words: &mut BTreeMap<String, String>,
) -> usize {
    let (mut at, mut head, mut word) = (at, head, None);
    while let Some(token) = tokens.get(at) {
        match token.text {
            "crate" | "self" if head.is_none() => {}
            "as" | "::" => {}
            "{" => return group(tokens, at, |entry| leaves(tokens, entry, head, words)),
            _ if token.is_name() => {
                head = head.or(Some(token.text));
                word = Some(token.text);
            }
            _ => break,
        }
        at += 1;
    }
    if let (Some(head), Some(word)) = (head, word) {
        words.insert(word.to_owned(), head.to_owned());
    }
    at
}

/// The first name of every path of the file that starts at the crate's root, with its line.
fn root_paths<'a>(tokens: &[Token<'a>], depth: usize) -> Vec<(&'a str, usize)> {
    let mut heads = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let starts_path = at == 0 || tokens[at - 1].text != "::";
        match token.text {
            "crate" if is_path(tokens, at) => root_heads(tokens, at + 2, 0, &mut heads),
            "super" if is_path(tokens, at) && starts_path => root_heads(tokens, at, depth, &mut heads),
            _ => at,
        };
    }
    heads
}

fn is_path(tokens: &[Token<'_>], at: usize) -> bool {
    tokens.get(at + 1).is_some_and(|next| next.text == "::")
}

/// Collects the first names below the root of the tree at `at`, which stands `up` modules below the root. Returns
/// where it stopped reading.
fn root_heads<'a>(tokens: &[Token<'a>], at: usize, up: usize, heads: &mut Vec<(&'a str, usize)>) -> usize {
    let Some(token) = tokens.get(at) else { return at };
    match token.text {
        "super" if up > 0 && is_path(tokens, at) => root_heads(tokens, at + 2, up - 1, heads),
        "self" if is_path(tokens, at) => root_heads(tokens, at + 2, up, heads),
        "{" => group(tokens, at, |entry| root_heads(tokens, entry, up, heads)),
        _ => {
            if up == 0 && token.is_name() {
                heads.push((token.text, token.line));
            }
            at
        }
    }
}

/// Calls `read` at the start of each entry of the group that opens at `open`; `read` returns where it stopped.
/// Returns the place past the group.
fn group(tokens: &[Token<'_>], open: usize, mut read: impl FnMut(usize) -> usize) -> usize {
    let mut at = open + 1;
    while at < tokens.len() && tokens[at].text != "}" {
        at = read(at);
        let mut nested = 0;
        while let Some(token) = tokens.get(at) {
            match token.text {
                "{" => nested += 1,
                "}" if nested == 0 => break,
                "}" => nested -= 1,
                "," if nested == 0 => {
                    at += 1;
                    break;
                }
                _ => {}
            }
            at += 1;
        }
    }
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> =
            files.iter().map(|(path, text)| Source::new(format!("a/src/{path}"), *text)).collect();
        let imports = imports("a/src", &sources.iter().collect::<Vec<_>>());
        let arrow = |from: &String, to: &String, place: &Place| format!("{from} -> {to} at {place}");
        imports
            .iter()
            .flat_map(|(from, to)| to.iter().map(move |(to, place)| arrow(from, to, place)))
            .collect()
    }

    #[test]
    fn paths_and_groups_from_the_root_are_imports() {
        let user =
            "use crate::{x, y::{self, x::Z},\n w as v};\nfn f() -> crate::u::T { crate::unknown::g() }";
        let seen = graph(&[("m.rs", user), ("u.rs", ";"), ("w.rs", ";"), ("x.rs", ";"), ("y/mod.rs", ";")]);
        let expected = ["m -> u at a/src/m.rs:3", "m -> w at a/src/m.rs:2", "m -> x at a/src/m.rs:1"];
        assert_eq!(seen[..3], expected);
        assert_eq!(seen[3..], ["m -> y at a/src/m.rs:1"]);
    }

    #[test]
    fn a_folder_is_one_module_whatever_its_files_are() {
        let seen = graph(&[("m.rs", "mod n;"), ("m/n.rs", "use crate::{m::T, x};"), ("x.rs", ";")]);
        assert_eq!(seen, ["m -> x at a/src/m/n.rs:1"]);
    }

    #[test]
    fn supers_that_reach_the_root_are_imports() {
        let seen = graph(&[
            ("m.rs", "use super::x;"),
            ("m/mod.rs", "use {super::y, std::fmt};"),
            ("m/n.rs", "use super::{x, super::z};"),
            ("x.rs", ";"),
            ("y.rs", ";"),
            ("z.rs", ";"),
        ]);
        assert_eq!(
            seen,
            ["m -> x at a/src/m.rs:1", "m -> y at a/src/m/mod.rs:1", "m -> z at a/src/m/n.rs:1"]
        );
    }

    #[test]
    fn a_word_that_the_root_re_exports_is_an_import_of_its_module() {
        let root = "mod x; mod y;\npub use x::T; pub use crate::y::{deep::U, V as W}; use std::x;";
        let user = "use crate::T;\nfn f(_: crate::U, _: crate::W, _: crate::V) {}";
        let seen = graph(&[("lib.rs", root), ("m.rs", user), ("x.rs", ";"), ("y.rs", ";")]);
        assert_eq!(seen, ["m -> x at a/src/m.rs:1", "m -> y at a/src/m.rs:2"]);
    }

    #[test]
    fn comments_tests_roots_visibilities_and_sync_import_nothing() {
        let user = "//! [`crate::x`]\nuse crate::sync::Arc;\npub(crate) fn f() { g(\"crate::x\") }\n\
                    #[cfg(test)]\nmod tests { use crate::x; }";
        let files = [("lib.rs", "use crate::x;"), ("m.rs", user), ("m/tests.rs", "use crate::x;")];
        let rest = [("sync.rs", "use crate::m;"), ("x.rs", ";"), ("bin/tool.rs", "use crate::x;")];
        let mut sources: Vec<Source> = files
            .iter()
            .chain(&rest)
            .map(|(path, text)| Source::new(format!("a/src/{path}"), *text))
            .collect();
        crate::source::set_test_files_apart(&mut sources);
        assert_eq!(imports("a/src", &sources.iter().collect::<Vec<_>>()), Imports::new());
    }

    #[test]
    fn unfinished_groups_end_with_the_file() {
        assert_eq!(graph(&[("m.rs", "use crate::{x, {"), ("lib.rs", "use x::{"), ("x.rs", ";")]).len(), 1);
        assert_eq!(graph(&[("m.rs", "crate::"), ("x.rs", "super::")]).len(), 0);
    }
}
