//! Every outside crate is pinned once, in the workspace's manifest; the members only point there.

use crate::finding::{Finding, Place};
use crate::source::Source;

/// Each dependency of a member's manifest that does not say `workspace = true`.
pub(super) fn findings(manifest: &Source) -> Vec<Finding> {
    let finding = |(name, line): (String, usize)| {
        let what = format!("`{name}` must say `workspace = true`: pin it in the root's Cargo.toml");
        Finding::new(Place::line(&manifest.path, line), what)
    };
    pinned_here(&manifest.text).into_iter().map(finding).collect()
}

/// The dependencies that the manifest pins itself, with their lines.
fn pinned_here(text: &str) -> Vec<(String, usize)> {
    let mut pinned = Vec::new();
    let mut table = Table::Other;
    for (line, statement) in statements(text) {
        if let Some(header) = statement.strip_prefix('[') {
            table.finish(&mut pinned);
            table = Table::of(header.trim_end_matches(']'), line);
            continue;
        }
        let (key, value) = statement.split_once('=').unwrap_or((&statement, ""));
        let (key, value) = (key.trim(), value.trim());
        match &mut table {
            Table::Dependencies if !inherits(key, value) => pinned.push((first_name(key), line)),
            Table::Dependency { is_inherited, .. } if key == "workspace" && value == "true" => {
                *is_inherited = true
            }
            _ => {}
        }
    }
    table.finish(&mut pinned);
    pinned
}

/// What the lines below a `[header]` are.
enum Table {
    /// One dependency a line.
    Dependencies,
    /// The fields of one dependency: `[dependencies.name]`.
    Dependency {
        name: String,
        line: usize,
        is_inherited: bool,
    },
    Other,
}

impl Table {
    fn of(header: &str, line: usize) -> Self {
        let is_list = |name: &str| matches!(name, "dependencies" | "dev-dependencies" | "build-dependencies");
        // A target's condition may hold dots, so the header is read from its end.
        match header.rsplit_once('.') {
            _ if is_list(last_name(header)) => Self::Dependencies,
            Some((list, name)) if is_list(last_name(list)) => {
                Self::Dependency { name: name.trim().trim_matches('"').to_owned(), line, is_inherited: false }
            }
            _ => Self::Other,
        }
    }

    fn finish(&self, pinned: &mut Vec<(String, usize)>) {
        if let Self::Dependency { name, line, is_inherited: false } = self {
            pinned.push((name.clone(), *line));
        }
    }
}

fn last_name(header: &str) -> &str {
    header.rsplit('.').next().unwrap_or(header).trim()
}

fn first_name(key: &str) -> String {
    key.split('.').next().unwrap_or(key).trim().trim_matches('"').to_owned()
}

/// Whether `key = value` is `name.workspace = true`, another field of such a dependency, or
/// `name = { workspace = true, .. }`.
fn inherits(key: &str, value: &str) -> bool {
    let is_field = |field: &str| field.split_whitespace().collect::<String>() == "workspace=true";
    match key.rsplit_once('.') {
        Some((_, "workspace")) => value == "true",
        Some((_, field)) => !matches!(field, "version" | "path" | "git"),
        None => value.trim_matches(['{', '}']).split(',').any(is_field),
    }
}

/// The manifest's statements, each with its first line; comments go and open brackets join lines.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut statements: Vec<(usize, String)> = Vec::new();
    let mut depth = 0_usize;
    for (number, line) in text.lines().enumerate() {
        let (line, change) = code_of(line);
        let line = line.trim();
        match statements.last_mut() {
            Some((_, statement)) if depth > 0 => statement.push_str(line),
            _ if line.is_empty() => {}
            _ => statements.push((number + 1, line.to_owned())),
        }
        depth = depth.saturating_add_signed(change);
    }
    statements
}

/// The line without its comment, and how many more brackets it opens than it closes.
fn code_of(line: &str) -> (&str, isize) {
    let mut quote = None;
    let mut change = 0;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') => return (&line[..at], change),
            (None, '[' | '{') => change += 1,
            (None, ']' | '}') => change -= 1,
            _ => {}
        }
    }
    (line, change)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        pinned_here(text).into_iter().map(|(name, line)| format!("{name}:{line}")).collect()
    }

    #[test]
    fn inherited_dependencies_pass_in_every_spelling() {
        let text = "[package]\nname = \"a\" # serde = \"1\"\n[dependencies]\nserde = { workspace = true }\n\
                    syn.workspace = true\narrow = { workspace = true, features = [\n  \"ipc\", # why\n] }\n\
                    [dev-dependencies.proptest]\nworkspace = true\nfeatures = [\"std\"]\n\
                    [target.'cfg(loom)'.dependencies]\nloom = { features = [\"a\"], workspace=true }\n\
                    [features]\nasync = [\"dep:tokio\"]\n";
        assert_eq!(names(text), [""; 0]);
    }

    #[test]
    fn a_version_or_a_path_of_its_own_is_found_in_every_table() {
        let text = "[dependencies]\nserde = \"1\"\nsyn = { version = \"3\", features = [\n \"full\"\n] }\n\
                    rayon.version = \"1\"\n[build-dependencies]\ncc = { path = \"../cc\" }\n\
                    [target.'cfg(a.b)'.dev-dependencies]\nloom = '0.7' # workspace = true\n\
                    [dependencies.\"arrow\"]\nversion = \"60\"\n[lints]\nworkspace = true\n";
        assert_eq!(names(text), ["serde:2", "syn:3", "rayon:6", "cc:8", "loom:10", "arrow:11"]);
    }
}
