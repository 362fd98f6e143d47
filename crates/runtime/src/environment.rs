//! What the environment says about the size of a process, and what a machine has where it says nothing.

use crate::machine::available_memory;
use crate::settings::Settings;
use std::path::PathBuf;
use std::time::Duration;

/// Processors of one process.
pub const THREADS_MAX: usize = 256;
/// The share of the machine's memory that is the budget, unless told otherwise.
pub const MEMORY_SHARE: f64 = 0.6;
/// The share that one task may bring it to that is let in alone; what needs more fails.
pub const ALONE_SHARE: f64 = 0.9;
/// What [`bytes_of`] takes.
pub const AMOUNT: &str = "a number of bytes, or one with KiB, MiB, GiB or TiB";

/// How long a worker may be silent, in seconds: less is lost by a busy machine, and more is no use to anybody.
const WORKER_TIMEOUT_SECONDS: std::ops::RangeInclusive<u64> = 1..=3600;
/// How long a worker may be out of reach, unless told otherwise: a cut of 9 s and a stop of 13 s cost nothing.
pub const WORKER_TIMEOUT: Duration = Duration::from_secs(15);

/// A variable of the environment; what is no text in it is shown as `\u{fffd}`, and makes no sense to anybody.
pub fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// `PONIARD_THREADS`, else the number of cores.
///
/// # Errors
/// When it is no number of threads.
pub fn threads() -> Result<usize, String> {
    let Some(text) = variable("PONIARD_THREADS") else { return Ok(cores()) };
    let threads = text.trim().parse().ok().filter(|threads| (1..=THREADS_MAX).contains(threads));
    threads.ok_or_else(|| {
        let meant = format!("a number from 1 to {THREADS_MAX}");
        format!("PONIARD_THREADS is `{text}`; set it to {meant}, or unset it to have one for each core")
    })
}

/// `PONIARD_LABELS`.
pub fn labels() -> Vec<String> {
    let labels = variable("PONIARD_LABELS").unwrap_or_default();
    let words = labels.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// `PONIARD_MEMORY`.
///
/// # Errors
/// When it is no amount of memory.
pub fn memory() -> Option<Result<u64, String>> {
    amount("PONIARD_MEMORY", "have a share of the machine's")
}

/// `PONIARD_SPILL_LIMIT`.
///
/// # Errors
/// When it is no amount of memory.
pub fn spill_limit() -> Option<Result<u64, String>> {
    amount("PONIARD_SPILL_LIMIT", "have as much as the disk has")
}

/// `PONIARD_SPILL_DIR`.
pub fn spill_folders() -> Vec<PathBuf> {
    std::env::var_os("PONIARD_SPILL_DIR")
        .map_or_else(Vec::new, |folders| std::env::split_paths(&folders).collect())
}

/// `TMPDIR`, or where temporary files survive: `/tmp` is memory on many machines.
pub fn default_spill_folder() -> PathBuf {
    let kept = PathBuf::from("/var/tmp");
    match std::env::var_os("TMPDIR") {
        None if kept.is_dir() => kept,
        _ => std::env::temp_dir(),
    }
}

/// `PONIARD_WORKER_TIMEOUT`: after how many seconds a worker that is out of reach counts as lost.
///
/// # Errors
/// When it is no such number.
pub fn worker_timeout() -> Result<Duration, String> {
    let Some(text) = variable("PONIARD_WORKER_TIMEOUT") else { return Ok(WORKER_TIMEOUT) };
    let seconds = text.trim().parse().ok().filter(|seconds| WORKER_TIMEOUT_SECONDS.contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        let (least, most) = WORKER_TIMEOUT_SECONDS.into_inner();
        format!("PONIARD_WORKER_TIMEOUT is `{text}`; set it to a number of seconds from {least} to {most}, or unset it to have {WORKER_TIMEOUT:?}")
    })
}

/// How many tasks this machine runs at a time.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX)
}

/// Reads an amount of memory.
pub fn bytes_of(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * (1u64 << shift) as f64;
    (bytes < u64::MAX as f64).then_some(bytes as u64)
}

/// The settings of a worker on a server of its own: what is about the machine is by the environment there, the rest is
/// as worker 1 has it. So many processes share the machine's memory.
///
/// # Errors
/// When the environment makes no sense.
pub fn settings_beside(first: Settings, sharers: usize) -> Result<Settings, String> {
    let available = available_memory() as f64;
    let mut spill_folders = spill_folders();
    if spill_folders.is_empty() {
        spill_folders.push(default_spill_folder());
    }
    Ok(Settings {
        threads: threads()?,
        labels: labels(),
        budget: memory().unwrap_or(Ok((available * MEMORY_SHARE) as u64 / sharers.max(1) as u64))?,
        alone: (available * ALONE_SHARE) as u64,
        spill_folders,
        spill_limit: spill_limit().unwrap_or(Ok(u64::MAX))?,
        ..first
    })
}

/// An amount of memory in the environment.
fn amount(name: &str, without: &str) -> Option<Result<u64, String>> {
    let text = variable(name)?;
    let bytes = bytes_of(&text);
    Some(bytes.ok_or_else(|| format!("{name} is `{text}`; set it to {AMOUNT}, or unset it to {without}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_with_its_unit() {
        assert_eq!(bytes_of("1GiB"), Some(1 << 30));
        assert_eq!(bytes_of(" 1.5 KiB "), Some(1536));
        assert_eq!(bytes_of("12"), Some(12));
        assert_eq!(bytes_of("12 GB"), None);
        assert_eq!(bytes_of("much"), None);
    }
}
