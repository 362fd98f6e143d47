//! A folder that nobody else can look into, and the removal of what dead processes have left.
//!
//! The spill file has no name as soon as it is open, so the kernel takes it back however the process ends. Where the
//! file system cannot do that (NFS keeps a name for it), the file stays in a folder that its process holds a lock on:
//! the kernel lets go of a lock when its holder dies, whatever the process numbers are by then, so the next process
//! that spills beside it sees that nobody holds it and removes it.

use super::error::Error;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What the names of our folders begin with.
const PREFIX: &str = "poniard-spill-";

/// The one file in a folder.
const FILE: &str = "chunks";

/// Names that are tried for a new folder, when others have or sweep the first ones.
const TRIES: usize = 16;

/// A folder of mode 0700, locked as long as this lives, and removed with it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl Folder {
    /// Makes a folder of our own in `base`.
    pub(super) fn create(base: &Path) -> Result<Folder, Error> {
        check(base)?;
        for _ in 0..TRIES {
            // The number tells a reader whose folder it is; the random part keeps others from having it first.
            let name = format!("{PREFIX}{}-{:016x}", std::process::id(), RandomState::new().hash_one(0));
            let path = base.join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(Error::io("create the folder", &path, error)),
                Ok(()) => {}
            }
            if let Some(folder) = Folder::lock(path)? {
                return Ok(folder);
            }
        }
        Err(Error::unsafe_folder(base, "every new folder in it is taken away at once"))
    }

    /// Locks the new folder. None if a sweep found it before it was locked.
    fn lock(path: PathBuf) -> Result<Option<Folder>, Error> {
        let failed = |error| Error::io("lock the folder", &path, error);
        let lock = match open_folder(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            lock => lock.map_err(failed)?,
        };
        if lock.try_lock().is_err() {
            return Ok(None);
        }
        let held = lock.metadata().map_err(failed)?;
        match fs::symlink_metadata(&path) {
            Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => {}
            _ => return Ok(None),
        }
        if held.uid() != user() || held.mode() & 0o077 != 0 {
            return Err(Error::unsafe_folder(&path, "it was just made, but is not ours alone"));
        }
        Ok(Some(Folder { path, _lock: lock }))
    }

    /// Where the file is, or was until its name was taken away.
    pub(super) fn file(&self) -> PathBuf {
        self.path.join(FILE)
    }

    /// Takes the names of the file and the folder away. Whether that worked: what is open stays usable.
    pub(super) fn unlink(&self) -> bool {
        let _ = fs::remove_file(self.file());
        fs::remove_dir(&self.path).is_ok()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Harmless when both are gone; what cannot be removed is swept by a later process.
        self.unlink();
    }
}

/// Removes the folders in `base` whose processes are dead, and tells which.
///
/// # Errors
/// When `base` is not safe to use or cannot be read. What cannot be removed is left.
pub fn sweep(base: &Path) -> Result<Vec<PathBuf>, Error> {
    check(base)?;
    let entries = fs::read_dir(base).map_err(|error| Error::io("read the folder", base, error))?;
    let is_ours =
        |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
    let paths = entries.flatten().filter(is_ours).map(|entry| entry.path());
    Ok(paths.filter(|path| sweep_one(path).is_some()).collect())
}

fn sweep_one(path: &Path) -> Option<()> {
    let folder = open_folder(path).ok()?;
    if folder.metadata().ok()?.uid() != user() {
        return None;
    }
    folder.try_lock().ok()?;
    let _ = fs::remove_file(path.join(FILE));
    fs::remove_dir(path).ok()
}

/// Opens a folder, but not through a link that somebody has put in its place.
fn open_folder(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path)
}

/// Refuses a spill directory in which others could replace what is ours.
///
/// # Errors
/// Says why.
pub fn check(base: &Path) -> Result<(), Error> {
    let found = fs::symlink_metadata(base).map_err(|error| Error::io("spill to", base, error))?;
    let mode = found.permissions().mode();
    let (is_shared, is_sticky) = (mode & 0o022 != 0, mode & libc::S_ISVTX != 0);
    let why = if found.is_symlink() {
        "it is a symbolic link".to_owned()
    } else if !found.is_dir() {
        "it is not a directory".to_owned()
    } else if found.uid() != user() && found.uid() != 0 {
        format!("it belongs to user {}", found.uid())
    } else if is_shared && !is_sticky {
        format!("others may write to it (mode {:04o})", mode & 0o7777)
    } else {
        return Ok(());
    };
    Err(Error::unsafe_folder(base, why))
}

fn user() -> u32 {
    // SAFETY: it only asks for a number.
    unsafe { libc::geteuid() }
}
