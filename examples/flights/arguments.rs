//! The command line.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Parts, unless told otherwise: several for each thread of a laptop, and still large.
const PARTS: usize = 16;
/// Parts of less than a few hundred flights only measure the spawning.
const PARTS_MAX: usize = 10_000;

pub(crate) const HELP: &str = "\
Delays by hour of the day, as a table and as a chart.

  --svg PATH    where to write the chart            (flights.svg)
  --parts N     into how many tasks to split        (16)
  --workers N   how many more processes run it      (PONIARD_WORKERS, else 0)
  --data PATH   Arrow file with `delay` and `time`  (the packaged one)
";

/// What the user asked for.
#[derive(Debug, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) svg: PathBuf,
    pub(crate) parts: usize,
    pub(crate) workers: Option<usize>,
    pub(crate) data: PathBuf,
    pub(crate) help: bool,
}

impl Arguments {
    /// Reads the words after the program's name.
    pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, String> {
        let mut arguments = Arguments {
            svg: "flights.svg".into(),
            parts: PARTS,
            workers: None,
            data: packaged_data(),
            help: false,
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let option = word.to_string_lossy().into_owned();
            let mut value = || words.next().ok_or_else(|| format!("`{option}` needs a value; try --help"));
            match option.as_str() {
                "--svg" => arguments.svg = value()?.into(),
                "--data" => arguments.data = value()?.into(),
                "--parts" => arguments.parts = parts(&value()?.to_string_lossy())?,
                "--workers" => arguments.workers = Some(workers(&value()?.to_string_lossy())?),
                "--help" | "-h" => arguments.help = true,
                _ => {
                    return Err(format!(
                        "unknown argument `{option}`; it takes --svg, --parts, --workers, --data and --help"
                    ));
                }
            }
        }
        Ok(arguments)
    }
}

/// The file that comes with this program.
pub(crate) fn packaged_data() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "data", "flights-200k.arrow"].iter().collect()
}

fn parts(text: &str) -> Result<usize, String> {
    match text.parse::<NonZeroUsize>() {
        Ok(parts) if parts.get() <= PARTS_MAX => Ok(parts.get()),
        _ => Err(format!("`--parts {text}`: it takes a number from 1 to {PARTS_MAX}")),
    }
}

fn workers(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("`--workers {text}`: it takes a number of processes, 0 for none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, String> {
        Arguments::parse(words.iter().map(OsString::from))
    }

    #[test]
    fn what_is_not_given_has_a_default() {
        let arguments = parse(&["--parts", "3"]).unwrap();
        assert_eq!((arguments.parts, arguments.svg), (3, PathBuf::from("flights.svg")));
        assert!(arguments.data.ends_with("data/flights-200k.arrow"));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        for (words, message) in [
            (
                &["--prats", "3"][..],
                "unknown argument `--prats`; it takes --svg, --parts, --workers, --data and --help",
            ),
            (&["--svg"], "`--svg` needs a value; try --help"),
            (&["--workers", "two"], "`--workers two`: it takes a number of processes, 0 for none"),
            (&["--parts", "0"], "`--parts 0`: it takes a number from 1 to 10000"),
        ] {
            assert_eq!(parse(words).unwrap_err(), message);
        }
    }
}
