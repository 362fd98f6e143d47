//! Files that appear whole or not at all.

use crate::disk::error::Reason;
use crate::disk::source::{Scratch, Target};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What temporary files are named: hidden, and with the id of the process that writes them.
pub(crate) const TEMPORARY_START: &str = ".poniard-";
/// And how the name ends.
pub(crate) const TEMPORARY_END: &str = ".tmp";

/// Who may use a new file: as the user's mask says.
const MODE_USUAL: u32 = 0o666;
/// Only this user, for copies in folders that everybody uses.
#[cfg(feature = "object-store")]
pub(crate) const MODE_PRIVATE: u32 = 0o600;

/// Writes a file anew: under a temporary name in the same folder, to the disk, then under its own name, then the folder's
/// entry to the disk. When it returns an error, or panics, the old file is as it was.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut Target) -> Result<(), Reason>,
) -> Result<(), Reason> {
    // The file that a link leads to is the one to replace, not the link.
    let old = fs::canonicalize(path).ok();
    let path = old.as_deref().unwrap_or(path);
    if path.is_dir() {
        return Err(io::Error::new(ErrorKind::IsADirectory, "there is a folder of this name").into());
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let scratch = write_aside(folder, MODE_USUAL, write)?;
    if let Ok(metadata) = fs::metadata(path) {
        fs::set_permissions(&scratch.0, metadata.permissions())?;
    }
    // By its name: what writes by path may have put another file there.
    File::open(&scratch.0)?.sync_all()?;
    fs::rename(&scratch.0, path)?;
    std::mem::forget(scratch);
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// Writes a file under a temporary name; it goes with the guard.
pub(crate) fn write_aside(
    folder: &Path,
    mode: u32,
    write: impl FnOnce(&mut Target) -> Result<(), Reason>,
) -> Result<Scratch, Reason> {
    let mut target = create(folder, mode)?;
    let scratch = Scratch(target.path().to_owned());
    write(&mut target)?;
    target.end()?;
    Ok(scratch)
}

fn create(folder: &Path, mode: u32) -> io::Result<Target> {
    loop {
        match Target::create(&temporary(folder), mode) {
            // Of a process on another host that has our id.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let text = format!("there is no folder {}", folder.display());
                return Err(io::Error::new(ErrorKind::NotFound, text));
            }
            created => return created,
        }
    }
}

/// A name that this process gives once.
fn temporary(folder: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{TEMPORARY_START}{}-{number}{TEMPORARY_END}", std::process::id());
    folder.join(OsString::from(name))
}
