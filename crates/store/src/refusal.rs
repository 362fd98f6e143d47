//! Why there is no memory: what was asked for, who refused it, and which limits hold.

use crate::size::readable;
use crate::slab::Backing;
use std::fmt;
use std::io;

/// An arena had no slot to give.
#[derive(Debug)]
pub struct TakeError {
    asked: usize,
    why: Why,
}

#[derive(Debug)]
enum Why {
    NoSuchSize,
    OverLimit { slot: usize, in_use: usize, limit: usize },
    Refused { slot: usize, in_use: usize, limits: String, cause: io::Error },
}

impl TakeError {
    pub(crate) fn no_such_size(asked: usize) -> TakeError {
        TakeError { asked, why: Why::NoSuchSize }
    }

    pub(crate) fn over_limit(asked: usize, slot: usize, in_use: usize, limit: usize) -> TakeError {
        TakeError { asked, why: Why::OverLimit { slot, in_use, limit } }
    }

    /// The kernel's answer, with the limits that may be behind it, as they are now.
    pub(crate) fn refused(
        asked: usize,
        slot: usize,
        in_use: usize,
        backing: Backing,
        cause: io::Error,
    ) -> TakeError {
        TakeError { asked, why: Why::Refused { slot, in_use, limits: limits(backing), cause } }
    }

    /// Bytes that were asked for.
    pub fn asked_bytes(&self) -> usize {
        self.asked
    }

    /// Whether the arena's own limit refused: it may be tried again when something was freed.
    pub fn is_over_limit(&self) -> bool {
        matches!(self.why, Why::OverLimit { .. })
    }
}

impl fmt::Display for TakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot take {} of memory", readable(self.asked))?;
        match &self.why {
            Why::NoSuchSize => write!(f, ": no address space holds that much"),
            Why::OverLimit { slot, in_use, limit } => {
                let (slot, in_use, limit) = (readable(*slot), readable(*in_use), readable(*limit));
                write!(f, ", a slot of {slot}: {in_use} of at most {limit} are in use")
            }
            Why::Refused { slot, in_use, limits, cause } => {
                let (slot, in_use) = (readable(*slot), readable(*in_use));
                write!(f, ", a slot of {slot} beside {in_use} in use: {cause} ({limits})")
            }
        }
    }
}

impl std::error::Error for TakeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.why {
            Why::Refused { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

/// The limits of this process that mappings run into.
fn limits(backing: Backing) -> String {
    let addresses = format!("address space {}", limit_of(libc::RLIMIT_AS, readable));
    let overcommit = kernel_setting("/proc/sys/vm/overcommit_memory", "vm.overcommit_memory");
    let mappings = kernel_setting("/proc/sys/vm/max_map_count", "vm.max_map_count");
    match backing {
        Backing::Anonymous => format!("{addresses}, {overcommit}, {mappings}"),
        Backing::Memfd => {
            let files = limit_of(libc::RLIMIT_NOFILE, |files| files.to_string());
            format!("{addresses}, open files {files}, {overcommit}, {mappings}")
        }
    }
}

fn limit_of(resource: libc::__rlimit_resource_t, written: fn(usize) -> String) -> String {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the kernel fills the struct, which lives across the call.
    let answer = unsafe { libc::getrlimit(resource, &raw mut limit) };
    if answer != 0 || limit.rlim_cur == libc::RLIM_INFINITY {
        return "unlimited".to_owned();
    }
    format!("at most {}", written(limit.rlim_cur as usize))
}

fn kernel_setting(path: &str, name: &str) -> String {
    let value = std::fs::read_to_string(path);
    format!("{name} = {}", value.as_deref().map_or("unknown", str::trim))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn a_limit_is_told_with_what_is_in_use() {
        let error = TakeError::over_limit(3 << 20, 3 << 20, 62 << 20, 64 << 20);
        let text = "cannot take 3 MiB of memory, a slot of 3 MiB: 62 MiB of at most 64 MiB are in use";
        assert_eq!(error.to_string(), text);
        assert!(error.is_over_limit());
        assert_eq!(error.asked_bytes(), 3 << 20);
    }

    #[test]
    fn the_kernels_refusal_names_the_limits_and_keeps_its_cause() {
        let cause = io::Error::from_raw_os_error(libc::ENOMEM);
        let error = TakeError::refused(1 << 30, 1 << 30, 5 << 20, Backing::Memfd, cause);
        let text = error.to_string();
        for part in
            ["1 GiB", "beside 5 MiB in use", "os error 12", "address space", "open files", "overcommit"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(error.source().is_some() && !error.is_over_limit());
    }
}
