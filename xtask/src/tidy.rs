//! The house rules that no lint knows, each in a file of its own.

mod leftovers;
mod length;
mod manifests;
mod mentions;
mod names;
mod opening;
mod unsafe_code;

use crate::finding::{Finding, Place};
use crate::workspace::{CrateRoot, RootKind, Workspace};

/// Everything in the workspace that breaks a rule.
pub(crate) fn findings(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &workspace.sources {
        findings.extend(mentions::findings(source));
        if source.is_rust() {
            findings.extend(unsafe_code::findings(source));
            findings.extend(names::finding(source));
            findings.extend(length::finding(source));
            findings.extend(leftovers::findings(source));
        }
    }
    for package in &workspace.packages {
        if let Some(manifest) = workspace.source(&format!("{}/Cargo.toml", package.folder)) {
            findings.extend(manifests::findings(manifest));
        }
        findings.extend(package.roots.iter().flat_map(|root| root_findings(workspace, root)));
    }
    findings.sort();
    findings
}

fn root_findings(workspace: &Workspace, root: &CrateRoot) -> Vec<Finding> {
    let Some(source) = workspace.source(&root.path) else {
        return vec![Finding::new(Place::file(&root.path), "is a crate's root, but git ignores it")];
    };
    let mut findings = Vec::new();
    if root.kind != RootKind::BuildScript {
        findings.extend(opening::finding(source));
    }
    if root.kind == RootKind::Product {
        findings.extend(unsafe_code::root_finding(source));
    }
    findings
}
