//! One command of the check that a change must pass, as data.

use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::mpi;

/// A command, run from the repository's root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// The program, then its arguments.
    pub(crate) command: &'static [&'static str],
}

impl Step {
    /// The command, with the features that can be built here where it says all.
    pub(crate) fn prepared(&self, root: &Path) -> Result<Command, Error> {
        let words = mpi::expanded(self.command)?;
        let (program, arguments) = words.split_first().expect("a step has a program");
        let mut command = Command::new(program);
        command.args(arguments).envs(self.environment.iter().copied()).current_dir(root);
        // Cargo tells this program about its own package. Build scripts that look at that would be run anew, and
        // all of Zenoh built after them, each time that somebody goes on without this program.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_own_package(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        Ok(command)
    }

    /// Runs the command with this terminal as its own.
    pub(crate) fn run(&self, root: &Path) -> Result<(), Error> {
        let status = self
            .prepared(root)?
            .status()
            .map_err(|cause| Error::because(format!("cannot run `{self}`"), cause))?;
        if !status.success() {
            return Err(Error::new(format!("step {} failed: `{self}`: {status}", self.name)));
        }
        Ok(())
    }
}

/// Whether cargo has set it for this program, and not a person for all.
fn is_of_own_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// The line that a person would type.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.environment {
            write!(f, "{name}={} ", quoted(value))?;
        }
        let words: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        f.write_str(&words.join(" "))
    }
}

fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("\"{word}\"") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_shows_the_line_to_type() {
        let step =
            Step { name: "docs", environment: &[("FLAGS", "-D warnings")], command: &["cargo", "doc"] };
        assert_eq!(step.to_string(), "FLAGS=\"-D warnings\" cargo doc");
    }

    #[test]
    fn a_step_is_not_told_about_the_package_of_this_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let command = &["sh", "-c", "test -z \"$CARGO_PKG_NAME$CARGO_MANIFEST_DIR\" && test -n \"$PATH\""];
        assert!(Step { name: "clean", environment: &[], command }.run(root).is_ok());
    }

    #[test]
    fn a_failing_step_names_itself_and_its_command() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let step = |command| Step { name: "docs", environment: &[], command };
        assert!(step(&["true"]).run(root).is_ok());
        let error = step(&["false"]).run(root).unwrap_err().to_string();
        assert!(error.starts_with("step docs failed: `false`: "), "{error}");
        let error = step(&["no-such-program"]).run(root).unwrap_err().to_string();
        assert_eq!(error, "cannot run `no-such-program`");
    }
}
