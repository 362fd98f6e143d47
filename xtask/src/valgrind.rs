//! Runs the own tests of the crates that own memory under valgrind, which sees every byte that they touch and every
//! block that they lose.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::Error;
use crate::step::Step;
use crate::workspace::root;

/// The crates whose memory is checked, each with the build of its tests.
const PACKAGES: &[(&str, Step)] = &[
    ("poniard-pool", build(&["cargo", "test", "-p", "poniard-pool", "--lib", "--no-run"])),
    ("poniard-store", build(&["cargo", "test", "-p", "poniard-store", "--lib", "--no-run"])),
];

/// The spill's tests take minutes here, and one of them looks at the page cache, which is another one under valgrind. Those of
/// `refs` take minutes, too, and there is nothing there but safe code.
const SKIPPED: &[&str] = &["--skip=spill::", "--skip=refs::"];

/// Builds the tests with blocks from the system's allocator, since valgrind knows nothing of the pool's own reuse
/// of blocks. Another flag means another build of everything, so it has a folder of its own.
const fn build(command: &'static [&'static str]) -> Step {
    Step {
        name: "build for valgrind",
        environment: &[("RUSTFLAGS", "--cfg poniard_system_blocks"), ("CARGO_TARGET_DIR", "target/valgrind")],
        command,
    }
}

/// A leak counts, and is shown, when nothing points at the block any more; the test runner's own threads leave
/// blocks behind that something still points into.
const VALGRIND: &[&str] = &[
    "--error-exitcode=9",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite",
    "--show-leak-kinds=definite",
    "-q",
];

/// Runs the tests whose names match the arguments, all of them when there is none, under valgrind.
pub(crate) fn run(filters: &[String]) -> Result<(), Error> {
    if !is_installed()? {
        println!("SKIP valgrind: not installed (apt-get install valgrind)");
        return Ok(());
    }
    PACKAGES.iter().try_for_each(|(package, build)| check(package, build, filters))
}

fn check(package: &str, build: &Step, filters: &[String]) -> Result<(), Error> {
    build.run(root())?;
    let executable = test_executable(package, &build_messages(build)?)?;
    println!("valgrind {} {executable} --test-threads=1", VALGRIND.join(" "));
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(VALGRIND)
        .arg(&executable)
        .arg("--test-threads=1")
        .args(SKIPPED)
        .args(filters)
        .current_dir(root());
    let status = valgrind.status().map_err(|cause| Error::because("cannot run valgrind", cause))?;
    if !status.success() {
        return Err(Error::new(format!("the tests of {package} failed under valgrind: {status}")));
    }
    Ok(())
}

fn is_installed() -> Result<bool, Error> {
    let version =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match version {
        Ok(status) => Ok(status.success()),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(Error::because("cannot run `valgrind --version`", cause)),
    }
}

/// What cargo says for machines about the build that is done already; errors were shown to people before.
fn build_messages(build: &Step) -> Result<String, Error> {
    let (program, arguments) = build.command.split_first().expect("a step has a program");
    let mut command = Command::new(program);
    command.args(arguments).arg("--message-format=json").envs(build.environment.iter().copied());
    let output = command.current_dir(root()).stderr(Stdio::null()).output();
    let output = output.map_err(|cause| Error::because("cannot ask cargo for the test executable", cause))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The path of the library's test executable among cargo's messages, one JSON object a line.
fn test_executable(package: &str, messages: &str) -> Result<String, Error> {
    let is_library_test = |message: &Value| {
        let kinds = message["target"]["kind"].as_array();
        message["reason"] == "compiler-artifact"
            && message["profile"]["test"] == true
            && kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib"))
    };
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(is_library_test)
        .find_map(|message| message["executable"].as_str().map(str::to_owned))
        .ok_or_else(|| Error::new(format!("cargo built no test executable for the library of {package}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_librarys_test_executable_is_found_among_the_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"]},"profile":{"test":false},"executable":null}"#,
            "\nno json\n",
            r#"{"reason":"compiler-artifact","target":{"kind":["test"]},"profile":{"test":true},"executable":"/b"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"]},"profile":{"test":true},"executable":"/a"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(test_executable("poniard-pool", messages).unwrap(), "/a");
    }

    #[test]
    fn a_build_without_tests_is_an_error() {
        let error =
            test_executable("poniard-pool", r#"{"reason":"build-finished","success":true}"#).unwrap_err();
        assert_eq!(error.to_string(), "cargo built no test executable for the library of poniard-pool");
    }
}
