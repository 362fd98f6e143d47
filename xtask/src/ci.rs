//! Everything that a change must pass, in the order that tells of trouble soonest.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::mpi;
use crate::step::Step;
use crate::workspace::root;

/// The README's test command. `.ci/run` runs it itself and then the [`CHECKS`].
pub(crate) const TESTS: &[Step] = &[step("tests", &[], &["cargo", "xtask", "test"])];

/// What that command runs, once what it needs is installed.
const SUITE: Step = step("tests", &[], &["cargo", "test", "--workspace", mpi::ALL]);

/// What must hold besides.
pub(crate) const CHECKS: &[Step] = &[
    // The tests of the rows once more, with worker processes: what holds in one process holds in three.
    step(
        "rows, 2 workers",
        TWO_WORKERS_MORE,
        &["cargo", "test", "--workspace", mpi::ALL, "--test", "rows", "--test", "data", "--test", "graphs"],
    ),
    // The other tests, a process each: what one leaves behind in its process helps no other.
    step("tests, a process each", &[], &["cargo", "xtask", "nextest"]),
    step("planted bugs", &[], &["cargo", "xtask", "planted"]),
    step("format", &[], &["cargo", "fmt", "--all", "--check"]),
    step(
        "clippy",
        &[],
        &["cargo", "clippy", "--workspace", "--all-targets", mpi::ALL, "--", "-D", "warnings"],
    ),
    step("docs", &[("RUSTDOCFLAGS", "-D warnings")], &["cargo", "doc", "--workspace", "--no-deps", mpi::ALL]),
    step("layers", &[], &["cargo", "xtask", "layers"]),
    step("tidy", &[], &["cargo", "xtask", "tidy"]),
    // Another flag means another build of everything: a folder of its own keeps the usual one warm.
    step(
        "loom",
        &[("RUSTFLAGS", "--cfg loom"), ("CARGO_TARGET_DIR", "target/loom")],
        &["cargo", "test", "-p", "poniard-pool", "--release", "--lib", "loom"],
    ),
    step("valgrind", &[], &["cargo", "xtask", "valgrind"]),
    step("quickstart, 1 thread", ONE, &example("quickstart")),
    step("quickstart, 3 threads", THREE, &example("quickstart")),
    step("nested_loops, 1 thread", ONE, &example("nested_loops")),
    step("nested_loops, 3 threads", THREE, &example("nested_loops")),
    step("out_of_core, 1 thread", ONE, &OUT_OF_CORE),
    step("out_of_core, 3 threads", THREE, &OUT_OF_CORE),
    step("quickstart, 2 workers", TWO_WORKERS, &example("quickstart")),
    step("nested_loops, 2 workers", TWO_WORKERS, &example("nested_loops")),
    step("flights, 2 workers", TWO_WORKERS, &flights("target/ci/flights-workers.svg")),
    step("flights, poniard run -n 3", ONE, &RUN_N_3),
    step("flights, mpirun -n 3", &[], &["cargo", "xtask", "mpirun"]),
    step("flights, 1 thread", ONE, &flights("target/ci/flights-1.svg")),
    step("flights, 3 threads", THREE, &flights("target/ci/flights-3.svg")),
];

const ONE: Environment = &[("PONIARD_THREADS", "1")];
const THREE: Environment = &[("PONIARD_THREADS", "3")];

const TWO_WORKERS: Environment = &[("PONIARD_THREADS", "1"), ("PONIARD_WORKERS", "2")];

/// Each process has as many threads as the tests expect of a cluster by the environment.
const TWO_WORKERS_MORE: Environment = &[("PONIARD_WORKERS", "2")];

type Environment = &'static [(&'static str, &'static str)];
type Words = &'static [&'static str];

const fn step(name: &'static str, environment: Environment, command: Words) -> Step {
    Step { name, environment, command }
}

/// As the tests have built it: to build the examples' dependencies once more for release takes ten minutes.
const fn example(name: &'static str) -> [&'static str; 6] {
    ["cargo", "run", "-p", "poniard-examples", "--example", name]
}

/// More data than memory, and not too much for an afternoon.
const OUT_OF_CORE: [&str; 11] = [
    "cargo",
    "run",
    "-p",
    "poniard-examples",
    "--example",
    "out_of_core",
    "--",
    "--memory",
    "512MiB",
    "--blocks",
    "16",
];

/// The example that draws, as the steps before have built it, started by the command.
const RUN_N_3: [&str; 12] = [
    "cargo",
    "run",
    "-p",
    "poniard-cli",
    "--",
    "run",
    "-n",
    "3",
    "--",
    "target/debug/examples/flights",
    "--svg",
    "target/ci/flights-run.svg",
];

/// The example that draws; git ignores the folder it draws into.
const fn flights(svg: &'static str) -> [&'static str; 9] {
    ["cargo", "run", "-p", "poniard-examples", "--example", "flights", "--", "--svg", svg]
}

/// Runs the tests, and before that installs what they need and this may install.
pub(crate) fn test() -> Result<(), Error> {
    mpi::install();
    SUITE.run(root())
}

/// Runs the steps in order up to the first that fails, then prints how long each took.
pub(crate) fn run(steps: &[Step]) -> Result<(), Error> {
    let pictures = root().join("target/ci");
    std::fs::create_dir_all(&pictures)
        .map_err(|cause| Error::because(format!("cannot make {}", pictures.display()), cause))?;
    let mut times = Vec::new();
    let mut outcome = Ok(());
    for step in steps {
        println!("==> {}: {step}", step.name);
        let start = Instant::now();
        outcome = step.run(root());
        times.push((step.name, start.elapsed()));
        if outcome.is_err() {
            break;
        }
    }
    print!("{}", timetable(&times));
    outcome
}

fn timetable(times: &[(&str, Duration)]) -> String {
    let total = times.iter().map(|(_, took)| *took).sum();
    let row = |(name, took): &(&str, Duration)| format!("{:>8.1} s  {name}\n", took.as_secs_f64());
    times.iter().chain([&("in all", total)]).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ci_script_runs_the_same_tests() {
        let script = include_str!("../../.ci/run");
        for step in TESTS {
            assert!(script.contains(&step.to_string()), "{step}");
        }
    }

    #[test]
    fn every_step_has_a_name_of_its_own() {
        let mut names: Vec<&str> = TESTS.iter().chain(CHECKS).map(|step| step.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn the_timetable_ends_with_the_sum() {
        let times = [("format", Duration::from_millis(500)), ("clippy", Duration::from_secs(61))];
        assert_eq!(timetable(&times), "     0.5 s  format\n    61.0 s  clippy\n    61.5 s  in all\n");
    }
}
