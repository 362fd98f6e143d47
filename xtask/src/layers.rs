//! Which of our crates may depend on which: the table, and its comparison with the manifests.

use crate::finding::{Finding, Place};
use crate::workspace::{DependencyKind, Package};

/// A package of ours and every package of ours that it may depend on.
type Row = (&'static str, &'static [&'static str]);

/// The layers, lowest first. What is not here is not allowed.
const LAYERS: &[Row] = &[
    ("poniard-model", &[]),
    ("poniard-trace", &["poniard-model"]),
    ("poniard-pool", &["poniard-model", "poniard-trace"]),
    ("poniard-sched", &["poniard-model"]),
    ("poniard-store", &["poniard-model", "poniard-trace"]),
    ("poniard-fabric", &["poniard-model", "poniard-trace"]),
    (
        "poniard-runtime",
        &[
            "poniard-model",
            "poniard-trace",
            "poniard-pool",
            "poniard-sched",
            "poniard-store",
            "poniard-fabric",
        ],
    ),
    ("poniard-macros", &[]),
    // The facade spawns into the pool itself: a task that stays in its process meets nothing between the two.
    (
        "poniard",
        &[
            "poniard-model",
            "poniard-trace",
            "poniard-pool",
            "poniard-store",
            "poniard-runtime",
            "poniard-macros",
        ],
    ),
    // What it starts is any program of a user; only its tests are one.
    ("poniard-cli", &["poniard"]),
    ("poniard-examples", &["poniard"]),
    ("poniard-misuse", &["poniard"]),
    ("poniard-benches", &["poniard"]),
    ("xtask", &[]),
];

/// What the tests of a package use besides.
const FOR_TESTS: &[(&str, &str)] = &[
    // Its simulator has workers talk by the link and the simulated network of the fabric.
    ("poniard-sched", "poniard-fabric"),
];

/// Every dependency of one of our packages on another that the table does not allow, and every package of ours that
/// has no row in it.
pub(crate) fn violations(packages: &[Package]) -> Vec<Finding> {
    against(LAYERS, packages)
}

fn against(layers: &[Row], packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let manifest = Place::file(&format!("{}/Cargo.toml", package.folder));
        let Some((_, allowed)) = layers.iter().find(|(name, _)| *name == package.name) else {
            let name = &package.name;
            let what = format!("no row for {name}: add (\"{name}\", &[..]) to LAYERS in xtask/src/layers.rs");
            findings.push(Finding::new(manifest, what));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| is_ours(&dependency.name)) {
            let for_tests = (package.name.as_str(), dependency.name.as_str());
            let is_for_tests = dependency.kind == DependencyKind::Dev
                && (dependency.name == package.name || FOR_TESTS.contains(&for_tests));
            if !is_for_tests && !allowed.contains(&dependency.name.as_str()) {
                findings.push(Finding::new(manifest.clone(), refusal(package, &dependency.name, allowed)));
            }
        }
    }
    findings
}

fn refusal(package: &Package, dependency: &str, allowed: &[&str]) -> String {
    let list = if allowed.is_empty() { "none of ours".to_owned() } else { allowed.join(", ") };
    format!("{} depends on {dependency}, but its layer may use {list}", package.name)
}

fn is_ours(name: &str) -> bool {
    name == "poniard" || name.starts_with("poniard-") || name == "xtask"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, dependencies: &[(&str, DependencyKind)]) -> Package {
        let dependency =
            |(name, kind): &(&str, DependencyKind)| Dependency { name: (*name).to_owned(), kind: *kind };
        Package {
            name: name.to_owned(),
            folder: format!("crates/{name}"),
            dependencies: dependencies.iter().map(dependency).collect(),
            roots: Vec::new(),
            features: Vec::new(),
        }
    }

    fn words(packages: &[Package]) -> Vec<String> {
        violations(packages).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_the_table_allows_passes_and_outside_crates_are_not_its_business() {
        let pool = [
            ("poniard-model", DependencyKind::Normal),
            ("poniard-trace", DependencyKind::Dev),
            ("poniard-pool", DependencyKind::Dev),
            ("libc", DependencyKind::Normal),
        ];
        assert_eq!(words(&[package("poniard-pool", &pool), package("xtask", &[])]), [""; 0]);
    }

    #[test]
    fn a_dependency_upwards_is_refused_whatever_its_kind() {
        for kind in [DependencyKind::Normal, DependencyKind::Build, DependencyKind::Dev] {
            let found = words(&[package("poniard-trace", &[("poniard-pool", kind)])]);
            let refused = "crates/poniard-trace/Cargo.toml: poniard-trace depends on poniard-pool, \
                           but its layer may use poniard-model";
            assert_eq!(found, [refused]);
        }
        let found = words(&[package("poniard-macros", &[("poniard-model", DependencyKind::Normal)])]);
        assert!(found[0].ends_with("may use none of ours"), "{found:?}");
    }

    #[test]
    fn only_a_dev_dependency_may_point_at_its_own_package() {
        assert_eq!(words(&[package("poniard-pool", &[("poniard-pool", DependencyKind::Build)])]).len(), 1);
    }

    #[test]
    fn what_tests_may_use_besides_nothing_else_may() {
        for (kind, findings) in
            [(DependencyKind::Dev, 0), (DependencyKind::Normal, 1), (DependencyKind::Build, 1)]
        {
            assert_eq!(words(&[package("poniard-sched", &[("poniard-fabric", kind)])]).len(), findings);
        }
    }

    #[test]
    fn a_package_without_a_row_is_told_which_row_to_add() {
        let found = words(&[package("poniard-unknown", &[("poniard-model", DependencyKind::Normal)])]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("add (\"poniard-unknown\", &[..]) to LAYERS"), "{found:?}");
    }

    #[test]
    fn the_table_names_each_package_once_and_points_down() {
        for (at, (name, allowed)) in LAYERS.iter().enumerate() {
            let lower: Vec<&str> = LAYERS[..at].iter().map(|(name, _)| *name).collect();
            assert!(!lower.contains(name), "{name} has two rows");
            assert!(allowed.iter().all(|dependency| lower.contains(dependency)), "{name} points up");
        }
    }
}
