//! Disks that are full, bytes that changed, folders that are not safe, values that cannot move.

use crate::alone::{alone, alone_with};
use crate::signals::eventually;
use poniard::prelude::*;
use poniard::{MemoryError, Order, Tile, memory_usage};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// 64 KiB of numbers that do not compress.
fn block(seed: u64) -> Vec<u64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state ^ (state >> 29)
    };
    (0..8192).map(|_| next()).collect()
}

/// A folder of this test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("poniard-test-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        Folder(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A file system of 8 MiB; none without the right to mount.
struct Small(Folder);

impl Small {
    fn mount() -> Option<Small> {
        let folder = Folder::new("small-disk");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m,mode=0700", "poniard-test"]).arg(folder.path());
        match mount.output() {
            Ok(output) if output.status.success() => Some(Small(folder)),
            _ => None,
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Puts blocks until that is refused.
fn fill(most: u64) -> (Vec<Chunk<Vec<u64>>>, Option<TaskError>) {
    let mut chunks = Vec::new();
    for seed in 0..most {
        match put(block(seed)) {
            Ok(chunk) => chunks.push(chunk),
            Err(error) => return (chunks, Some(error)),
        }
    }
    (chunks, None)
}

fn check(chunks: &[Chunk<Vec<u64>>]) {
    for (seed, chunk) in chunks.iter().enumerate() {
        assert!(chunk.fetch().unwrap() == block(seed as u64), "chunk {seed}");
    }
}

#[test]
fn f13_a_full_disk_is_the_error_of_who_needs_memory_and_goes_when_there_is_room() {
    alone(2, || {
        let Some(disk) = Small::mount() else {
            return eprintln!("SKIP: this user may not mount a file system of 8 MiB");
        };
        let cluster = Cluster::local().threads(2).memory("1MiB").spill_dir(disk.0.path());
        let _cluster = cluster.start().unwrap();
        let (mut chunks, error) = fill(400);
        let error = error.expect("8 MiB of disk do not take 25 MiB");
        assert!(chunks.len() >= 100, "{} blocks fit", chunks.len());
        let text = error.to_string();
        assert!(text.contains("no room to spill") && text.contains("small-disk"), "{text}");
        assert!(
            matches!(error.downcast_ref::<MemoryError>(), Some(MemoryError::Disk(full)) if full.is_full())
        );
        // Tasks that need no more memory go on, and nothing was lost.
        assert_eq!(spawn!((|x: i32| x + 1)(1)).fetch().unwrap(), 2);
        chunks.truncate(40);
        check(&chunks);
        let more: Vec<_> = (0..40).map(|i| put(block(i)).unwrap()).collect();
        check(&more);
    });
}

#[test]
fn f13_the_next_folder_takes_what_a_full_one_does_not() {
    alone(2, || {
        let Some(disk) = Small::mount() else {
            return eprintln!("SKIP: this user may not mount a file system of 8 MiB");
        };
        let other = Folder::new("other-disk");
        let cluster = Cluster::local().threads(2).memory("1MiB");
        let _cluster = cluster.spill_dir(disk.0.path()).spill_dir(other.path()).start().unwrap();
        let (chunks, error) = fill(400);
        assert!(error.is_none(), "{error:?}");
        check(&chunks);
    });
}

#[test]
fn f13_a_next_folder_that_refuses_loses_nothing_of_the_full_one() {
    alone(2, || {
        let Some(disk) = Small::mount() else {
            return eprintln!("SKIP: this user may not mount a file system of 8 MiB");
        };
        let other = Folder::new("closed-disk");
        let cluster = Cluster::local().threads(2).memory("1MiB");
        let _cluster = cluster.spill_dir(disk.0.path()).spill_dir(other.path()).start().unwrap();
        // It was safe when the cluster started.
        std::fs::set_permissions(other.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let (chunks, error) = fill(400);
        assert!(error.expect("8 MiB of disk do not take 25 MiB").to_string().contains("no room to spill"));
        assert!(chunks.len() >= 100, "{} blocks fit", chunks.len());
        check(&chunks);
    });
}

#[test]
fn f13_the_spill_limit_is_told_with_its_numbers() {
    alone_with(2, &[("PONIARD_MEMORY", "1MiB"), ("PONIARD_SPILL_LIMIT", "2MiB")], || {
        let (chunks, error) = fill(400);
        let error = error.expect("3 MiB do not take 25 MiB");
        let text = error.to_string();
        assert!(text.contains("2097152 bytes for spilling"), "{text}");
        check(&chunks);
        drop(chunks);
        let (chunks, _) = fill(20);
        check(&chunks);
    });
}

/// The spill file of this process, which has no name.
fn spill_file() -> std::fs::File {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let is_spill = |path: &PathBuf| {
        std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains("poniard-spill-"))
    };
    let path = descriptors.map(|entry| entry.path()).find(is_spill).expect("something was spilled");
    std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap()
}

#[test]
fn f14_bytes_that_changed_on_disk_are_an_error_that_names_the_place() {
    alone_with(2, &[("PONIARD_MEMORY", "1MiB")], || {
        let chunks: Vec<_> = (0..64).map(|i| put(block(i)).unwrap()).collect();
        eventually(|| memory_usage().stored_bytes >= 2 << 20);
        let away = chunks.iter().position(|chunk| !chunk.is_resident()).unwrap();
        let file = spill_file();
        let length = file.metadata().unwrap().len();
        // One bit of each block of the file.
        let mut byte = [0; 1];
        for offset in (100..length).step_by(4096) {
            if file.read_at(&mut byte, offset).unwrap() == 1 {
                file.write_at(&[byte[0] ^ 1], offset).unwrap();
            }
        }
        let error = chunks[away].fetch().unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("cannot restore") && text.contains("checksum") && text.contains("offset"),
            "{text}"
        );
        let of_task = spawn!((|x: &Vec<u64>| x.len())(&chunks[away])).fetch().unwrap_err();
        assert!(of_task.to_string().contains("checksum"), "{of_task}");
        // What was not read from there is whole.
        for (seed, chunk) in chunks.iter().enumerate() {
            if chunk.is_resident() {
                assert!(chunk.fetch().unwrap() == block(seed as u64));
            }
        }
        assert_eq!(spawn!((|x: i32| x + 1)(1)).fetch().unwrap(), 2);
    });
}

/// A limit of this process, as `prlimit` names it, until it is lifted.
struct Limited {
    /// Waits for a line, then lifts the limit: under the limit this process may not be able to start another one.
    lifts: std::process::Child,
}

impl Limited {
    fn to(limit: &str, value: u64, lifted: &str) -> Limited {
        let set = |value: &str| format!("prlimit --pid {} --{limit}={value}:", std::process::id());
        let command = format!("read line && {}", set(lifted));
        let lifts = Command::new("sh").args(["-c", &command]).stdin(Stdio::piped()).spawn().unwrap();
        let done = Command::new("sh").args(["-c", &set(&value.to_string())]).status().unwrap();
        assert!(done.success(), "prlimit is a part of every Debian");
        Limited { lifts }
    }

    fn lift(mut self) {
        use std::io::Write;
        self.lifts.stdin.take().unwrap().write_all(b"\n").unwrap();
        assert!(self.lifts.wait().unwrap().success());
    }
}

#[test]
fn f15_what_the_system_refuses_is_the_error_of_who_needs_memory_with_its_number() {
    alone_with(2, &[("PONIARD_MEMORY", "1MiB")], || {
        // What a cluster needs to start is there; the spill file is made when something is to leave, and cannot be.
        spawn!(|| ()).fetch().unwrap();
        let no_more_files = Limited::to("nofile", 3, "1024");
        let (chunks, error) = fill(40);
        let error = error.expect("1 MiB does not take 2.5 MiB");
        no_more_files.lift();
        assert!(error.to_string().contains("Too many open files (os error 24)"), "{error}");
        let Some(MemoryError::Disk(refused)) = error.downcast_ref::<MemoryError>() else {
            panic!("{error:?}")
        };
        assert_eq!((refused.raw_os_error(), refused.is_full()), (Some(24), false));
        assert!(chunks.len() >= 15);
        let (more, error) = fill(40);
        assert!(error.is_none(), "{error:?}");
        check(&chunks);
        check(&more);
    });
}

#[test]
fn f17_a_task_that_takes_memory_without_end_is_refused_and_others_go_on() {
    fn without_end() -> Result<usize, poniard::TileError> {
        let mut tiles = Vec::new();
        loop {
            tiles.push(Tile::<f64>::from_fn(&[1 << 21], Order::Col, |_| 1.0)?);
            assert!(tiles.len() < 1000, "16 GiB are more than there may be");
        }
    }
    alone_with(2, &[("PONIARD_MEMORY", "1MiB")], || {
        let (before, _) = fill(20);
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = status.split(' ').next().unwrap().parse().unwrap();
        let limited = Limited::to("as", pages * 4096 + (256 << 20), "unlimited");
        let error = spawn!(without_end()?, single = 1).fetch().unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("task `without_end`") && text.contains("cannot take 16 MiB of memory"),
            "{text}"
        );
        assert!(text.contains("Cannot allocate memory (os error 12)"), "{text}");
        check(&before);
        let (after, none) = fill(20);
        assert!(none.is_none(), "{none:?}");
        check(&after);
        limited.lift();
    });
}

#[test]
fn f27_empty_large_and_immovable_results_are_no_trouble() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Nothing;
    alone_with(2, &[("PONIARD_MEMORY", "1MiB")], || {
        assert!(put(Vec::<u8>::new()).unwrap().fetch().unwrap().is_empty());
        assert_eq!(put(vec![Nothing; 0]).unwrap().bytes(), 0);
        // Many times the budget, and most of it never touched.
        let large = spawn!((|length: usize| vec![0_u8; length])(256 << 20));
        assert_eq!(large.fetch_ref().unwrap().len(), 256 << 20);
        let others: Vec<_> = (0..32).map(|i| put(block(i)).unwrap()).collect();
        check(&others);
        assert_eq!(large.fetch_ref().unwrap()[255 << 20], 0);
        let pinned = put(Pinned(vec![7_u8; 4 << 20])).unwrap();
        check(&others);
        assert!(pinned.is_resident() && pinned.fetch_ref().unwrap()[5] == 7);
    });
}

#[test]
fn a_value_that_cannot_be_written_stays_in_memory() {
    /// It says no, or panics, when it is written; the size of it can be seen all the same.
    struct Stubborn(Vec<u8>, bool);
    impl Serialize for Stubborn {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if serializer.is_human_readable() || !std::thread::panicking() && WRITES.get() {
                assert!(!self.1, "on purpose");
                return Err(serde::ser::Error::custom("no"));
            }
            serializer.serialize_bytes(&self.0)
        }
    }
    impl<'de> Deserialize<'de> for Stubborn {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Stubborn, D::Error> {
            unreachable!("it is never written")
        }
    }
    use std::cell::Cell;
    thread_local! {
        static WRITES: Cell<bool> = const { Cell::new(true) };
    }
    alone_with(1, &[("PONIARD_MEMORY", "1MiB")], || {
        WRITES.set(false);
        let (no, panics) =
            (put(Stubborn(vec![1; 100_000], false)).unwrap(), put(Stubborn(vec![2; 100_000], true)).unwrap());
        WRITES.set(true);
        let others: Vec<_> = (0..64).map(|i| put(block(i)).unwrap()).collect();
        check(&others);
        assert!(no.is_resident() && panics.is_resident());
        assert_eq!((no.fetch_ref().unwrap().0[0], panics.fetch_ref().unwrap().0[0]), (1, 2));
    });
}

#[test]
fn n10_a_folder_that_others_could_change_is_refused() {
    alone(1, || {
        let folder = Folder::new("unsafe");
        let refused = |path: &Path| Cluster::local().spill_dir(path).start().unwrap_err().to_string();
        let open = folder.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(refused(&open).contains("others may write to it (mode 0777)"), "{}", refused(&open));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert!(refused(&link).contains("symbolic link"), "{}", refused(&link));
        let missing = folder.path().join("missing");
        assert!(refused(&missing).contains("No such file"), "{}", refused(&missing));
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(refused(&file).contains("not a directory"), "{}", refused(&file));
        // A folder that is safe may be used after that.
        let _cluster = Cluster::local().memory("100KiB").spill_dir(folder.path()).start().unwrap();
        let chunks: Vec<_> = (0..8).map(|i| put(block(i)).unwrap()).collect();
        check(&chunks);
        let ours =
            |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("poniard-spill");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().flatten().filter(ours).count(), 0);
    });
}
