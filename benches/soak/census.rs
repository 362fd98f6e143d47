//! What processes have: memory, descriptors, threads; and what a cluster leaves behind.

use poniard::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What one process has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Census {
    pub(crate) resident_kib: u64,
    /// Open descriptors, without those of memory and that of the file to which values are written.
    pub(crate) descriptors: u64,
    /// Memory files: open, or mapped.
    pub(crate) segments: u64,
    pub(crate) threads: u64,
}

impl Census {
    /// Of this process.
    pub(crate) fn here() -> Census {
        let links: Vec<PathBuf> =
            names("/proc/self/fd").filter_map(|fd| std::fs::read_link(fd).ok()).collect();
        let is_memory = |link: &&PathBuf| link.to_string_lossy().starts_with("/memfd:");
        let in_memory = links.iter().filter(is_memory).count() as u64;
        // Where values are written: made when it is first needed, and kept for the next cluster.
        let is_spill = |link: &&PathBuf| !is_memory(link) && link.to_string_lossy().ends_with("(deleted)");
        let spill = (links.iter().filter(is_spill).count() as u64).min(1);
        Census {
            resident_kib: field("/proc/self/status", "VmRSS:"),
            // The folder itself is open while it is read.
            descriptors: links.len() as u64 - in_memory - spill,
            segments: in_memory.max(mapped_segments()),
            threads: field("/proc/self/status", "Threads:"),
        }
    }

    /// The larger of each.
    pub(crate) fn most(self, other: Census) -> Census {
        Census {
            resident_kib: self.resident_kib.max(other.resident_kib),
            descriptors: self.descriptors.max(other.descriptors),
            segments: self.segments.max(other.segments),
            threads: self.threads.max(other.threads),
        }
    }
}

/// The largest of each over some workers.
pub(crate) fn of_workers(workers: &[WorkerId]) -> Census {
    let of = |worker: &WorkerId| poniard::on(*worker, Census::here).expect("nobody is killed now");
    workers.iter().map(of).fold(Census::default(), Census::most)
}

fn names(folder: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// A number of a file of lines with names.
fn field(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Memory files that are mapped, by their inodes.
fn mapped_segments() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let inodes =
        maps.lines().filter(|line| line.contains("/memfd:")).filter_map(|line| line.split(' ').nth(4));
    inodes.collect::<std::collections::BTreeSet<&str>>().len() as u64
}

/// The state of each process that this one has started and not waited for, by its number.
pub(crate) fn children() -> BTreeMap<u32, char> {
    let me = std::process::id().to_string();
    let of = |process: PathBuf| {
        let number = process.file_name()?.to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(process.join("stat")).ok()?;
        let mut fields = stat.rsplit(") ").next()?.split(' ');
        let (state, parent) = (fields.next()?.chars().next()?, fields.next()?);
        (parent == me).then_some((number, state))
    };
    names("/proc").filter_map(of).collect()
}

/// Files and folders of a cluster of this process that are still there.
pub(crate) fn left_files() -> Vec<PathBuf> {
    let mark = format!("poniard-{}-", std::process::id());
    let temporary = std::env::temp_dir();
    let runtime = std::env::var("XDG_RUNTIME_DIR").unwrap_or_default();
    let folders =
        [Path::new("/tmp"), Path::new("/var/tmp"), Path::new("/dev/shm"), &temporary, Path::new(&runtime)];
    let all = folders.into_iter().flat_map(names);
    let mut left: Vec<PathBuf> = all.filter(|file| file.to_string_lossy().contains(&mark)).collect();
    left.sort();
    left.dedup();
    left
}
