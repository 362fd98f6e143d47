//! The checks of this repository that no off-the-shelf tool makes, and the one command that runs them all.
//!
//! Decisions are pure functions from text to findings; only `workspace`, `step`, `mpi`, `mpirun`, `nextest`, `planted` and `valgrind`
//! touch the world.
//!
//! - `blank`, `test_items`, `tokens`: just enough reading of Rust
//! - `source`, `workspace`, `finding`, `error`: what is checked, and what is said about it
//! - `layers`, `imports`, `cycles`: dependencies between our crates and between a crate's modules
//! - `tidy`: the house rules, one file each
//! - `ci`, `step`, `nextest`, `planted`, `valgrind`, `mpirun`: everything that a change must pass
//! - `mpi`: whether MPI is to be had, which not everybody has

#![forbid(unsafe_code)]

mod blank;
mod ci;
mod cycles;
mod error;
mod finding;
mod imports;
mod layers;
mod mpi;
mod mpirun;
mod nextest;
mod planted;
mod source;
mod step;
mod test_items;
mod tidy;
mod tokens;
mod valgrind;
mod workspace;

use std::error::Error as _;
use std::process::ExitCode;

use error::Error;
use finding::Finding;
use workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  layers              which crate depends on which, and import cycles among a crate's modules
  tidy                the house rules: unsafe code, names, lengths, leftovers, openings, manifests
  test                the tests: installs what they need, if this may, and runs them with all features that can be built here
  ci [--after-tests]  everything that a change must pass, or all of it but the README's test command
  mpirun              an example as three processes of mpirun, where MPI is installed
  nextest             the tests in a process each, where cargo-nextest is installed
  planted             plants the bugs that the sources hold, each for a while, and sees that the tests find them
  valgrind [TEST]     the tests of the crates that own memory, or those whose name holds TEST, under valgrind
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["layers"] => report("layers", layers),
        ["tidy"] => report("tidy", tidy::findings),
        ["ci"] => ci::run(&[ci::TESTS, ci::CHECKS].concat()),
        ["ci", "--after-tests"] => ci::run(ci::CHECKS),
        ["test"] => ci::test(),
        ["mpirun"] => mpirun::run(),
        ["nextest"] => nextest::run(),
        ["planted"] => planted::run(),
        ["valgrind", ..] => valgrind::run(&arguments[1..]),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Prints what `check` finds in the workspace; anything found is an error.
fn report(name: &str, check: fn(&Workspace) -> Vec<Finding>) -> Result<(), Error> {
    let workspace = Workspace::read()?;
    let findings = check(&workspace);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!(
                "{name}: {} packages, {} files, all well",
                workspace.packages.len(),
                workspace.sources.len()
            );
            Ok(())
        }
        count => Err(Error::new(format!("{name}: {count} to put right, listed above"))),
    }
}

fn layers(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = layers::violations(&workspace.packages);
    for package in &workspace.packages {
        let folder = format!("{}/src", package.folder);
        let imports = imports::imports(&folder, &workspace.rust_below(&folder));
        findings.extend(cycles::cycles(&package.name, &imports));
    }
    findings
}

/// The error and what caused it, as one line.
fn chain(error: &Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(&format!(": {error}"));
        cause = error.source();
    }
    line
}
