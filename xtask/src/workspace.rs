//! Reads the repository: its packages as cargo sees them and its files as git sees them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::error::Error;
use crate::source::{Source, set_test_files_apart};

/// Text files above this size are data, not something a person wrote; 1 MiB.
const SOURCE_BYTES_MAX: u64 = 1 << 20;

/// Everything that the checks look at, read once.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    /// The text files that git tracks or would track.
    pub(crate) sources: Vec<Source>,
}

impl Workspace {
    /// Reads the workspace that this program was built in.
    pub(crate) fn read() -> Result<Self, Error> {
        let root = root();
        let metadata = output(root, "cargo", &["metadata", "--no-deps", "--format-version", "1"])?;
        let listed = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
        let files = output(root, "git", &listed)?;
        let mut sources: Vec<Source> = files.split('\0').filter_map(|path| source(root, path)).collect();
        set_test_files_apart(&mut sources);
        Ok(Self { packages: packages(&metadata)?, sources })
    }

    /// The Rust files below `folder`.
    pub(crate) fn rust_below(&self, folder: &str) -> Vec<&Source> {
        let is_below = |s: &&Source| s.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        self.sources.iter().filter(|s| s.is_rust()).filter(is_below).collect()
    }

    pub(crate) fn source(&self, path: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.path == path)
    }
}

/// A package of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Relative to the repository's root.
    pub(crate) folder: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) roots: Vec<CrateRoot>,
    pub(crate) features: Vec<String>,
}

/// A line of a manifest's dependencies.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// The package's own name, whatever the manifest calls it.
    pub(crate) name: String,
    pub(crate) kind: DependencyKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DependencyKind {
    Normal,
    Build,
    Dev,
}

/// The first file of something that rustc compiles on its own.
#[derive(Debug)]
pub(crate) struct CrateRoot {
    /// Relative to the repository's root.
    pub(crate) path: String,
    pub(crate) kind: RootKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RootKind {
    /// A library, of macros too, or an executable.
    Product,
    /// An example, a benchmark or an integration test.
    Beside,
    BuildScript,
}

/// The repository's root: the folder above this package.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// What a command that must succeed prints; its complaints go to the terminal.
pub(crate) fn output(folder: &Path, program: &str, arguments: &[&str]) -> Result<String, Error> {
    let line = format!("{program} {}", arguments.join(" "));
    let mut command = Command::new(program);
    let ran = command.args(arguments).current_dir(folder).stderr(std::process::Stdio::inherit()).output();
    let output = ran.map_err(|cause| Error::because(format!("cannot run `{line}`"), cause))?;
    if !output.status.success() {
        return Err(Error::new(format!("`{line}` failed: {}", output.status)));
    }
    String::from_utf8(output.stdout)
        .map_err(|cause| Error::because(format!("`{line}` printed no text"), cause))
}

/// The file at `path`, unless it is gone, large, a link or no text.
fn source(root: &Path, path: &str) -> Option<Source> {
    let file: PathBuf = root.join(path);
    let is_small = std::fs::symlink_metadata(&file).is_ok_and(|m| m.is_file() && m.len() <= SOURCE_BYTES_MAX);
    is_small.then(|| std::fs::read_to_string(&file).ok())?.map(|text| Source::new(path, text))
}

/// The packages that `cargo metadata --no-deps` tells of.
fn packages(metadata: &str) -> Result<Vec<Package>, Error> {
    let value: Value = serde_json::from_str(metadata)
        .map_err(|cause| Error::because("cannot read what `cargo metadata` printed", cause))?;
    let root = text(&value, "workspace_root")?;
    array(&value, "packages")?.iter().map(|value| package(root, value)).collect()
}

fn package(root: &str, value: &Value) -> Result<Package, Error> {
    let folder = relative(root, text(value, "manifest_path")?);
    let dependencies = array(value, "dependencies")?.iter().map(dependency).collect::<Result<_, _>>()?;
    let roots =
        array(value, "targets")?.iter().map(|value| crate_root(root, value)).collect::<Result<_, _>>()?;
    Ok(Package {
        name: text(value, "name")?.to_owned(),
        folder: folder.strip_suffix("/Cargo.toml").unwrap_or_default().to_owned(),
        dependencies,
        roots,
        features: value["features"].as_object().map_or_else(Vec::new, |all| all.keys().cloned().collect()),
    })
}

fn dependency(value: &Value) -> Result<Dependency, Error> {
    let kind = match value["kind"].as_str() {
        None => DependencyKind::Normal,
        Some("build") => DependencyKind::Build,
        Some("dev") => DependencyKind::Dev,
        Some(other) => {
            return Err(Error::new(format!("`cargo metadata` tells of an unknown kind `{other}`")));
        }
    };
    Ok(Dependency { name: text(value, "name")?.to_owned(), kind })
}

fn crate_root(root: &str, value: &Value) -> Result<CrateRoot, Error> {
    let kinds: Vec<&str> = array(value, "kind")?.iter().filter_map(Value::as_str).collect();
    let kind = match kinds.first() {
        Some(&"custom-build") => RootKind::BuildScript,
        Some(&("example" | "bench" | "test")) => RootKind::Beside,
        _ => RootKind::Product,
    };
    Ok(CrateRoot { path: relative(root, text(value, "src_path")?), kind })
}

fn relative(root: &str, path: &str) -> String {
    path.strip_prefix(root).unwrap_or(path).trim_start_matches('/').to_owned()
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, Error> {
    value[key].as_str().ok_or_else(|| Error::new(format!("`cargo metadata` tells no `{key}`")))
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>, Error> {
    value[key].as_array().ok_or_else(|| Error::new(format!("`cargo metadata` tells no `{key}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_becomes_packages_with_relative_paths() {
        let metadata = r#"{"workspace_root": "/w", "packages": [{
            "name": "poniard-pool", "manifest_path": "/w/crates/pool/Cargo.toml",
            "dependencies": [{"name": "libc", "kind": null}, {"name": "loom", "kind": "dev"}],
            "targets": [{"kind": ["lib"], "src_path": "/w/crates/pool/src/lib.rs"},
                        {"kind": ["test"], "src_path": "/w/crates/pool/tests/laws.rs"}]}]}"#;
        let packages = packages(metadata).unwrap();
        let [package] = &packages[..] else { panic!("{packages:?}") };
        assert_eq!((&package.name[..], &package.folder[..]), ("poniard-pool", "crates/pool"));
        let kinds: Vec<_> = package.dependencies.iter().map(|d| (&d.name[..], d.kind)).collect();
        assert_eq!(kinds, [("libc", DependencyKind::Normal), ("loom", DependencyKind::Dev)]);
        let roots: Vec<_> = package.roots.iter().map(|r| (&r.path[..], r.kind)).collect();
        let expected =
            [("crates/pool/src/lib.rs", RootKind::Product), ("crates/pool/tests/laws.rs", RootKind::Beside)];
        assert_eq!(roots, expected);
    }

    #[test]
    fn metadata_without_packages_is_an_error_that_says_so() {
        let error = packages(r#"{"workspace_root": "/w"}"#).unwrap_err();
        assert_eq!(error.to_string(), "`cargo metadata` tells no `packages`");
    }
}
