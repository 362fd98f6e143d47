//! Whether MPI is to be had here: the one place that knows what `--all-features` means.
//!
//! The feature `mpi` needs an installed MPI and libclang to build. Where they are missing, and this may install them, it does;
//! else all features but that one are built, and that is said.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::error::Error;
use crate::workspace::Workspace;

/// What stands in a step for all features that can be built here.
pub(crate) const ALL: &str = "--all-features";
/// The feature, in whichever package.
const FEATURE: &str = "mpi";
/// What Debian calls that which it needs.
const PACKAGES: [&str; 3] = ["libopenmpi-dev", "openmpi-bin", "libclang-dev"];
/// Where libclang is looked for when nobody says where it is.
const LIBRARIES: [&str; 4] = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/lib/x86_64-linux-gnu"];

/// Installs what is missing, if this may.
pub(crate) fn install() {
    if is_there() {
        return;
    }
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|about| {
        use std::os::unix::fs::MetadataExt;
        about.uid() == 0
    });
    if !is_root || !has("apt-get", "--version") {
        return;
    }
    println!("installing what the feature `{FEATURE}` needs: {}", PACKAGES.join(" "));
    let install = [&["install", "-q", "-y", "--no-install-recommends"][..], &PACKAGES].concat();
    for arguments in [&["update", "-q"][..], &install] {
        let mut command = Command::new("apt-get");
        // What comes of it is looked at afterwards.
        let _ = command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").status();
    }
}

/// Whether the feature can be built and tried here. Says once when it cannot.
pub(crate) fn is_to_be_had() -> bool {
    static IS: OnceLock<bool> = OnceLock::new();
    *IS.get_or_init(|| {
        let is = is_there();
        if !is {
            println!("SKIP the feature `{FEATURE}`: not installed (apt-get install {})", PACKAGES.join(" "));
        }
        is
    })
}

/// The words of a command with the features that can be built here in place of [`ALL`].
pub(crate) fn expanded(words: &[&str]) -> Result<Vec<String>, Error> {
    let mut expanded = Vec::new();
    for word in words {
        if *word == ALL && !is_to_be_had() {
            expanded.push("--features".to_owned());
            expanded.push(others(&Workspace::read()?));
        } else {
            expanded.push((*word).to_owned());
        }
    }
    Ok(expanded)
}

/// All features of all packages but this one, as cargo takes them.
fn others(workspace: &Workspace) -> String {
    let features = workspace.packages.iter().flat_map(|package| {
        let others = package.features.iter().filter(|feature| *feature != FEATURE && *feature != "default");
        others.map(|feature| format!("{}/{feature}", package.name))
    });
    features.collect::<Vec<_>>().join(",")
}

fn is_there() -> bool {
    has("mpicc", "--version") && has("mpirun", "--version") && has_libclang()
}

fn has(program: &str, question: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(question).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// As bindgen looks for it: where the environment says, or below the usual folders.
fn has_libclang() -> bool {
    if let Some(path) = std::env::var_os("LIBCLANG_PATH") {
        return is_libclang(Path::new(&path)) || holds_libclang(Path::new(&path));
    }
    let of_llvm = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let of_llvm = of_llvm.map(|entry| entry.path().join("lib")).filter(|path| {
        path.parent().and_then(Path::file_name).is_some_and(|name| name.to_string_lossy().starts_with("llvm"))
    });
    LIBRARIES.iter().map(PathBuf::from).chain(of_llvm).any(|folder| holds_libclang(&folder))
}

fn holds_libclang(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(|entry| is_libclang(&entry.path())))
}

fn is_libclang(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let is_numbered = name.starts_with("libclang-") && !name.starts_with("libclang-cpp");
    name.starts_with("libclang.so") || is_numbered && name.contains(".so")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    #[test]
    fn every_other_feature_is_named_with_its_package() {
        let package = |name: &str, features: &[&str]| Package {
            name: name.to_owned(),
            folder: String::new(),
            dependencies: Vec::new(),
            roots: Vec::new(),
            features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        };
        let packages =
            vec![package("poniard", &["async", "default", "mpi"]), package("a", &[]), package("b", &["c"])];
        let workspace = Workspace { packages, sources: Vec::new() };
        assert_eq!(others(&workspace), "poniard/async,b/c");
    }

    #[test]
    fn what_is_no_placeholder_stays() {
        assert_eq!(expanded(&["cargo", "test", "--lib"]).unwrap(), ["cargo", "test", "--lib"]);
    }

    #[test]
    fn libclang_is_known_by_its_name() {
        for (name, is) in [
            ("libclang.so", true),
            ("libclang-14.so.1", true),
            ("libclang.so.14", true),
            ("libclang-cpp.so.14", false),
            ("libclang.a", false),
            ("libc.so", false),
        ] {
            assert_eq!(is_libclang(Path::new(name)), is, "{name}");
        }
    }
}
