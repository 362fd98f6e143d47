//! The spill file and its writer on real file systems, and on a disk that fails when it is told to.

mod faulty;
mod file;
mod folder;
mod writer;

use super::*;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of the test's own, empty again when the test ends well.
#[derive(Debug)]
struct Scratched(PathBuf);

impl Scratched {
    fn new() -> Scratched {
        Scratched::within(&std::env::temp_dir())
    }

    /// On a file system in memory, if there is one.
    fn in_memory() -> Scratched {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Scratched::within(memory) } else { Scratched::new() }
    }

    fn within(base: &Path) -> Scratched {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("poniard-test-{}-{number}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        Scratched(path)
    }

    fn file(&self, naming: Naming) -> SpillFile {
        SpillFile::create(FileOptions { folder: self.0.clone(), naming, ..FileOptions::default() }).unwrap()
    }

    fn names(&self) -> Vec<PathBuf> {
        std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Scratched {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::fs::remove_dir(&self.0).expect("no file is left behind");
        }
    }
}

/// A tmpfs of a few MiB, or the reason why there is none.
#[derive(Debug)]
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, mebibytes: u32) -> Option<SmallDisk> {
        let options = format!("size={mebibytes}m,mode=0700");
        let mut mount = Command::new("mount");
        match mount.args(["-t", "tmpfs", "-o", &options, "poniard-test"]).arg(folder).output() {
            Ok(output) if output.status.success() => Some(SmallDisk(folder.to_owned())),
            Ok(output) => {
                println!("SKIP: no small disk: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                println!("SKIP: no small disk: {error}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Bytes that nothing compresses, the same for the same seed.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes: Vec<u8> = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Writes the parts and reads them back into fresh memory.
fn round_trip(file: &SpillFile, parts: &[Vec<u8>]) -> (Stored, Vec<Vec<u8>>) {
    let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let stored = file.write(ChunkId(1), &slices).unwrap();
    let back = read(&stored).unwrap();
    (stored, back)
}

fn read(stored: &Stored) -> Result<Vec<Vec<u8>>, Error> {
    let mut parts: Vec<Vec<u8>> = stored.lengths().iter().map(|length| vec![0; *length]).collect();
    let mut slices: Vec<&mut [u8]> = parts.iter_mut().map(Vec::as_mut_slice).collect();
    stored.read(ChunkId(1), &mut slices)?;
    Ok(parts)
}
