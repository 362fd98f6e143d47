//! Plants each bug that the sources hold, and sees that the tests find it.
//!
//! The hunts are tests like others, in the crates that have the bugs (`tests/planted.rs`). This shows what they found, and that no
//! bug of the sources is hunted by nobody.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::mpi;
use crate::source::Source;
use crate::step::Step;
use crate::workspace::{Workspace, root};

/// As the README's test command builds them, so that nothing is built again.
const HUNTS: Step = Step {
    name: "planted bugs",
    environment: &[],
    command: &[
        "cargo",
        "test",
        "--workspace",
        mpi::ALL,
        "--lib",
        "--",
        "every_planted_bug_is_found",
        "--nocapture",
    ],
};

/// Fewer would show little.
const BUGS_MIN: usize = 12;

/// Runs the hunts.
pub(crate) fn run() -> Result<(), Error> {
    let planted = planted(&Workspace::read()?.sources);
    let output = HUNTS.prepared(root())?.output();
    let output = output.map_err(|cause| Error::because(format!("cannot run `{HUNTS}`"), cause))?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().filter_map(line_of_find).for_each(|line| println!("{line}"));
    if !output.status.success() {
        return Err(Error::new(format!("`{HUNTS}`: {}: a bug was planted and not found", output.status)));
    }
    let found = found(&said);
    if let Some(bug) = planted.symmetric_difference(&found).next() {
        return Err(Error::new(format!("`{bug}` is planted and nobody hunts it, or the other way round")));
    }
    if found.len() < BUGS_MIN {
        return Err(Error::new(format!("{} bugs are planted, at least {BUGS_MIN} should be", found.len())));
    }
    println!("planted: {} bugs, all found", found.len());
    Ok(())
}

/// The bugs of the sources.
fn planted(sources: &[Source]) -> BTreeSet<String> {
    let names = sources.iter().flat_map(|source| source.product.split("planted!(").skip(1));
    names.filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect()
}

/// What a hunt says: the test runner may have begun the line.
fn line_of_find(line: &str) -> Option<&str> {
    line.find("planted ").map(|at| &line[at..]).filter(|line| line.contains(": found by "))
}

/// The bugs that were found.
fn found(said: &str) -> BTreeSet<String> {
    let names = said.lines().filter_map(line_of_find).filter_map(|line| line.split([' ', ':']).nth(1));
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bugs_are_known_by_what_stands_in_the_sources() {
        let source =
            Source::new("crates/a/src/b.rs", "fn f() { if planted!(lost_ack) || planted!(no_probe) {} }");
        assert_eq!(planted(&[source]), ["lost_ack", "no_probe"].map(str::to_owned).into());
    }

    #[test]
    fn finds_are_read_from_between_other_lines() {
        let said = "running 1 test\ntest hunts::all ... planted lost_ack: found by histories in 3 ms\n\
                    planted no_probe: found by histories in 10 ms\nok, planted: nothing\n";
        assert_eq!(found(said), ["lost_ack", "no_probe"].map(str::to_owned).into());
    }
}
