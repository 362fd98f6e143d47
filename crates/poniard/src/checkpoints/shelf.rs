//! Where results lie between runs: a file each, in a folder for each name.

use crate::checkpoints::key::Key;
use crate::disk::atomic::{TEMPORARY_END, TEMPORARY_START};
use crate::disk::binary::Binary;
use crate::disk::error::FileError;
use crate::disk::format::Format;
#[cfg(feature = "object-store")]
use crate::disk::object::{Object, ObjectPlace};
use crate::disk::place::Place;
use poniard_model::Data;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

/// What the files' names end with.
const EXTENSION: &str = "checkpoint";
/// Where they lie unless told otherwise.
const USUAL: &str = ".poniard/checkpoints";

static FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Where results lie from now on: a folder, or an address in a store.
pub(crate) fn set_folder(folder: PathBuf) {
    *FOLDER.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder);
}

fn folder() -> PathBuf {
    static DEFAULT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(folder) = &*FOLDER.lock().unwrap_or_else(PoisonError::into_inner) {
        return folder.clone();
    }
    let default = || {
        let folder = std::env::var_os("PONIARD_CHECKPOINTS").filter(|folder| !folder.is_empty());
        let folder = folder.map_or_else(|| PathBuf::from(USUAL), PathBuf::from);
        // Where the program began to use them, wherever it goes later.
        if is_address(&folder) { folder } else { std::path::absolute(&folder).unwrap_or(folder) }
    };
    DEFAULT.get_or_init(default).clone()
}

fn is_address(folder: &Path) -> bool {
    folder.to_string_lossy().contains("://")
}

fn place(name: &str, key: Key) -> Result<Place, FileError> {
    Place::of(&folder().join(file_name(name)).join(format!("{key}.{EXTENSION}")))
}

/// Whether there is something under this key, whole or not.
pub(crate) fn is_there(name: &str, key: Key) -> bool {
    place(name, key).is_ok_and(|place| place.check().is_ok())
}

/// What is under this key.
pub(crate) fn read<T: Data>(name: &str, key: Key) -> Result<Option<T>, FileError> {
    let place = place(name, key)?;
    match place.check() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::opening(&place, error)),
        Ok(()) => {}
    }
    let read = place.source().and_then(|source| Binary.read(&source));
    read.map(Some).map_err(|reason| FileError::reading(&place, "binary", reason))
}

/// Keeps a value under this key.
pub(crate) fn write<T: Data>(name: &str, key: Key, value: &T) -> Result<(), FileError> {
    let place = place(name, key)?;
    let made = match place.path().parent().filter(|folder| !is_address(folder)) {
        Some(folder) => fs::create_dir_all(folder),
        None => Ok(()),
    };
    let written = made.map_err(Into::into).and_then(|()| place.replace(|target| Binary.write(value, target)));
    written.map_err(|reason| FileError::writing(&place, "binary", reason))
}

/// A name as one of a file: letters, digits and `-_.` as they are, other bytes as `=` and two digits, which no address changes.
fn file_name(name: &str) -> String {
    let mut text = String::new();
    for (place, byte) in name.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_".contains(&byte) || byte == b'.' && place > 0;
        if is_plain { text.push(char::from(byte)) } else { text.push_str(&format!("={byte:02x}")) }
    }
    if text.is_empty() { "=".to_owned() } else { text }
}

/// The name again.
fn name_of(file_name: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = file_name.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'=') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.extend((*first != b'=').then_some(*first));
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A result that was kept: see [`list`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// The name of the checkpoint.
    pub name: String,
    /// The file, or the address of the object.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// When it was written.
    pub written: SystemTime,
}

/// What lies in a folder of checkpoints, or below an address in a store, by name. Nothing of the results is read.
///
/// ```
/// for kept in poniard::checkpoints::list(".poniard/checkpoints")? {
///     println!("{} {} bytes", kept.name, kept.bytes);
/// }
/// # Ok::<(), poniard::FileError>(())
/// ```
///
/// # Errors
/// When the folder cannot be read; one that is not there is empty.
pub fn list(folder: impl AsRef<Path>) -> Result<Vec<Kept>, FileError> {
    kept_in(&Place::of(folder.as_ref())?)
}

fn kept_in(place: &Place) -> Result<Vec<Kept>, FileError> {
    let mut all = match place {
        Place::Local(folder) => kept_in_folder(folder)?,
        #[cfg(feature = "object-store")]
        Place::Object(store) => kept_in_store(store)?,
    };
    all.sort_by(|a, b| (&a.name, a.written, &a.path).cmp(&(&b.name, b.written, &b.path)));
    Ok(all)
}

fn kept_in_folder(folder: &Path) -> Result<Vec<Kept>, FileError> {
    let mut all = Vec::new();
    for named in entries(folder)? {
        if !named.is_dir() {
            continue;
        }
        let name = name_of(&named.file_name().unwrap_or_default().to_string_lossy());
        for path in entries(&named)? {
            if path.extension().is_none_or(|extension| extension != EXTENSION) {
                continue;
            }
            // Another process may clean at the same time.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let written = metadata.modified().map_err(|error| FileError::opening(path.display(), error))?;
            all.push(Kept { name: name.clone(), path, bytes: metadata.len(), written });
        }
    }
    Ok(all)
}

#[cfg(feature = "object-store")]
fn kept_in_store(store: &ObjectPlace) -> Result<Vec<Kept>, FileError> {
    let folders = store.folders().map_err(|reason| FileError::opening(store, reason))?;
    let mut all = Vec::new();
    for folder in folders {
        let objects = folder.objects().map_err(|reason| FileError::opening(&folder, reason))?;
        for Object { place, bytes, written } in objects {
            let path = place.path().to_owned();
            let named = path.parent().and_then(Path::file_name).unwrap_or_default();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                let name = name_of(&named.to_string_lossy());
                all.push(Kept { name, path, bytes, written });
            }
        }
    }
    Ok(all)
}

/// Which results are removed: all, unless told otherwise.
#[derive(Clone, Debug, Default)]
pub struct Stale {
    name: Option<String>,
    older_than: Option<Duration>,
}

impl Stale {
    /// All of them.
    pub fn all() -> Stale {
        Stale::default()
    }

    /// Only those of this checkpoint.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Stale {
        self.name = Some(name.into());
        self
    }

    /// Only those that were written longer ago than this.
    #[must_use]
    pub fn older_than(mut self, age: Duration) -> Stale {
        self.older_than = Some(age);
        self
    }

    fn holds(&self, kept: &Kept, now: SystemTime) -> bool {
        let age = now.duration_since(kept.written).unwrap_or_default();
        self.name.as_ref().is_none_or(|name| *name == kept.name)
            && self.older_than.is_none_or(|least| age > least)
    }
}

/// Removes results, and what processes that ended in the middle of writing have left; gives how many results went.
///
/// # Errors
/// When the folder cannot be read, or a file cannot be removed.
pub fn clean(folder: impl AsRef<Path>, stale: &Stale) -> Result<usize, FileError> {
    clean_in(&Place::of(folder.as_ref())?, stale)
}

fn clean_in(place: &Place, stale: &Stale) -> Result<usize, FileError> {
    let mut removed = 0;
    let now = SystemTime::now();
    for kept in kept_in(place)?.iter().filter(|kept| stale.holds(kept, now)) {
        match place {
            Place::Local(_) => remove(&kept.path)?,
            #[cfg(feature = "object-store")]
            Place::Object(store) => {
                store.remove(&kept.path).map_err(|reason| FileError::opening(kept.path.display(), reason))?;
            }
        }
        removed += 1;
    }
    match place {
        Place::Local(folder) => clear(folder)?,
        // What was not uploaded whole is not there.
        #[cfg(feature = "object-store")]
        Place::Object(_) => {}
    }
    Ok(removed)
}

/// Removes what processes have left that ended in the middle of writing, and empty folders.
fn clear(folder: &Path) -> Result<(), FileError> {
    for named in entries(folder)?.iter().filter(|path| path.is_dir()) {
        for path in entries(named)?.iter().filter(|path| is_abandoned(path)) {
            remove(path)?;
        }
        // Only if it is empty.
        let _ = fs::remove_dir(named);
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries,
    };
    let paths = entries.and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    paths.map_err(|error| FileError::opening(folder.display(), error))
}

fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::opening(path.display(), error))
        }
        _ => Ok(()),
    }
}

/// Whether it is a temporary file of a process that is gone.
fn is_abandoned(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let numbers = name.strip_prefix(TEMPORARY_START).and_then(|rest| rest.strip_suffix(TEMPORARY_END));
    let process = numbers.and_then(|numbers| numbers.split('-').next()?.parse::<u32>().ok());
    process.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_name_has_a_folder_of_its_own(name: String) {
            let file = file_name(&name);
            prop_assert_eq!(name_of(&file), name);
            prop_assert!(!file.is_empty() && !file.starts_with('.') && !file.contains('/'));
        }
    }

    #[cfg(feature = "object-store")]
    #[test]
    fn what_is_kept_in_a_store_is_listed_and_cleaned() {
        use crate::disk::object::ObjectPlace;
        let store: std::sync::Arc<dyn object_store::ObjectStore> =
            std::sync::Arc::new(object_store::memory::InMemory::new());
        let at = |key: &str| Place::Object(ObjectPlace::of(store.clone(), key).unwrap());
        for key in [
            "kept/a=2fb/1.checkpoint",
            "kept/a=2fb/2.checkpoint",
            "kept/c/1.checkpoint",
            "kept/c/other",
            "d/1.checkpoint",
        ] {
            at(key).replace(|target| Binary.write(&7_u64, target)).unwrap();
        }
        let kept = at("kept");
        let names = || kept_in(&kept).unwrap().into_iter().map(|kept| kept.name).collect::<Vec<_>>();
        assert_eq!(names(), ["a/b", "a/b", "c"]);
        assert!(kept_in(&kept).unwrap()[0].path.ends_with("kept/a=2fb/1.checkpoint"));
        assert!(kept_in(&kept).unwrap()[0].bytes > 64);
        assert_eq!(clean_in(&kept, &Stale::all().older_than(Duration::from_secs(3600))).unwrap(), 0);
        assert_eq!(clean_in(&kept, &Stale::all().named("a/b")).unwrap(), 2);
        assert_eq!(names(), ["c"]);
        assert_eq!(clean_in(&kept, &Stale::all()).unwrap(), 1);
        assert!(at("kept/c/other").check().is_ok() && at("d/1.checkpoint").check().is_ok());
    }
}
