//! How much memory this process may have: of the machine, and of its control group.

use std::fs;
use std::path::{Path, PathBuf};

/// The smaller of the memory that the machine has available and what the limit of each control group around this process
/// leaves, in bytes. Both versions of control groups are asked.
pub fn available_memory() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limits(&groups).into_iter().fold(available(&meminfo).unwrap_or(u64::MAX), u64::min)
}

/// Bytes of anonymous and shared memory that this process has now: what a budget is about.
pub fn resident_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ["RssAnon:", "RssShmem:"].iter().filter_map(|name| kilobytes(&status, name)).sum()
}

/// The name of this machine.
pub fn node() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

fn available(meminfo: &str) -> Option<u64> {
    kilobytes(meminfo, "MemAvailable:")
}

/// The value of a line such as `MemAvailable:   1234 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

/// The limits of the groups that the lines of `/proc/self/cgroup` name, and of those around them.
fn limits(groups: &str) -> Vec<u64> {
    files(groups).iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).collect()
}

/// The files that hold those limits, if they are there.
fn files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        // Version 2 is one tree for all controllers, version 1 has one for memory.
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        files.extend(path.ancestors().map(|group| Path::new(root).join(group).join(file)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_around_a_process_are_asked_in_both_versions() {
        let name = |text: &str| files(text).iter().map(|file| file.display().to_string()).collect::<Vec<_>>();
        assert_eq!(
            name("0::/user.slice/job\n"),
            [
                "/sys/fs/cgroup/user.slice/job/memory.max",
                "/sys/fs/cgroup/user.slice/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(
            name("5:cpu:/a\n4:memory,hugetlb:/a\n"),
            ["/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        );
        assert!(name("nonsense").is_empty());
    }

    #[test]
    fn a_process_has_some_memory_and_may_have_more() {
        assert_eq!(kilobytes("MemTotal: 5 kB\nMemAvailable:    3 kB\n", "MemAvailable:"), Some(3 << 10));
        assert!(resident_memory() > 0 && resident_memory() < available_memory());
    }
}
