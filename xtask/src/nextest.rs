//! Runs the tests in a process each, where cargo-nextest is installed.
//!
//! But for those of the rows, which run a second time as a step of their own, with workers (`ci`); and those of workers and servers,
//! which start processes for themselves, and the wrong programs, which are processes of rustc.

use std::process::{Command, Stdio};

use crate::error::Error;
use crate::mpi;
use crate::step::Step;
use crate::workspace::root;

const RUN: Step = Step {
    name: "tests, a process each",
    environment: &[],
    command: &[
        "cargo",
        "nextest",
        "run",
        "--workspace",
        mpi::ALL,
        "-E",
        "not (binary(/^(rows|data|graphs|workers|servers|compile_fail)$/))",
    ],
};

/// Runs them, or says that it does not.
pub(crate) fn run() -> Result<(), Error> {
    let mut version = Command::new("cargo");
    version.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if version.status().is_ok_and(|status| status.success()) {
        RUN.run(root())
    } else {
        println!("SKIP nextest: not installed (cargo install cargo-nextest --locked)");
        Ok(())
    }
}
