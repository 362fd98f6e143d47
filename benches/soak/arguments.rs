//! What the command line asks for.

use crate::chaos::Mood;
use std::time::Duration;

/// How long, and of which chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) workers: usize,
    pub(crate) threads: usize,
    /// Of one cluster.
    pub(crate) round: Duration,
    /// A program of which one thing takes longer hangs.
    pub(crate) limit: Duration,
    /// What happens in every round; else it changes.
    pub(crate) mood: Option<Mood>,
}

pub(crate) const USAGE: &str = "\
usage: soak [--minutes N] [--seed N] [--workers N] [--threads N] [--round-seconds N]
            [--limit-seconds N] [--mood quiet|gentle|deadly|frozen]

Random graphs with random kills, against a serial oracle, until the time is over. Exit status 1 when anything is wrong.";

impl Arguments {
    /// Reads them.
    ///
    /// # Errors
    /// When one makes no sense.
    pub(crate) fn read(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let mut arguments = Arguments {
            time: Duration::from_secs(600),
            seed: 1,
            workers: 3,
            threads: 1,
            round: Duration::from_secs(20),
            limit: Duration::from_secs(120),
            mood: None,
        };
        let mut words = words;
        while let Some(name) = words.next() {
            let word = words.next().unwrap_or_default();
            if name == "--mood" {
                arguments.mood = Some(Mood::of(&word).ok_or_else(|| format!("{word} is no mood\n{USAGE}"))?);
                continue;
            }
            let value = word.parse::<f64>().ok().filter(|value| *value >= 0.0);
            let value = value.ok_or_else(|| format!("{name}: it takes a number\n{USAGE}"))?;
            match name.as_str() {
                "--minutes" => arguments.time = Duration::from_secs_f64(60.0 * value),
                "--seed" => arguments.seed = value as u64,
                "--workers" => arguments.workers = (value as usize).max(1),
                "--threads" => arguments.threads = (value as usize).max(1),
                "--round-seconds" => arguments.round = Duration::from_secs_f64(value),
                "--limit-seconds" => arguments.limit = Duration::from_secs_f64(value),
                _ => return Err(format!("{name} is not known\n{USAGE}")),
            }
        }
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_and_refused() {
        let read = |words: &str| Arguments::read(words.split_whitespace().map(str::to_owned));
        let arguments = read("--minutes 0.5 --seed 7 --workers 2").unwrap();
        assert_eq!((arguments.time, arguments.seed, arguments.workers), (Duration::from_secs(30), 7, 2));
        assert!(read("--minutes long").unwrap_err().starts_with("--minutes: it takes a number"));
        assert!(read("--much 3").unwrap_err().starts_with("--much is not known"));
    }
}
