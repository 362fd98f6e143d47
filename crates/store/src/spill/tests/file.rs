//! Round trips, damage, and full disks.

use super::*;
use proptest::prelude::*;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

fn part() -> impl Strategy<Value = Vec<u8>> {
    let length =
        prop_oneof![Just(0usize), 1usize..5_000, 60_000usize..80_000, Just(4 << 20), Just((4 << 20) + 1)];
    let kind = prop_oneof![Just(false), Just(true)];
    (length, kind, any::<u64>()).prop_map(|(length, is_noise, seed)| match is_noise {
        true => noise(length, seed),
        false => (0..length).map(|place| (place / 1000) as u8).collect(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any parts come back as they were, on a disk with direct IO and in memory; all room is given back.
    #[test]
    fn what_is_read_is_what_was_written(chunks in prop::collection::vec(prop::collection::vec(part(), 0..4), 1..4)) {
        let folder = Scratched::new();
        let file = folder.file(Naming::Unnamed);
        let mut all = Vec::new();
        for parts in &chunks {
            let (stored, back) = round_trip(&file, parts);
            prop_assert_eq!(&back, parts);
            let bytes: usize = parts.iter().map(Vec::len).sum();
            prop_assert!(stored.bytes() <= bytes.next_multiple_of(4096) as u64);
            all.push(stored);
        }
        for (stored, parts) in all.iter().zip(&chunks) {
            prop_assert_eq!(&read(stored).unwrap(), parts, "others have not written over it");
        }
        prop_assert_eq!(file.bytes_used(), all.iter().map(Stored::bytes).sum::<u64>());
        drop(all);
        prop_assert_eq!(file.bytes_used(), 0);
    }
}

#[test]
fn what_shrinks_is_compressed_and_noise_is_not() {
    let folder = Scratched::new();
    let file = folder.file(Naming::Unnamed);
    let mut sparse = vec![0u8; 16 << 20];
    sparse.iter_mut().step_by(160).for_each(|byte| *byte = 1);
    let (stored, back) = round_trip(&file, &[vec![7; 200], sparse.clone()]);
    assert!(back[1] == sparse);
    assert!(stored.bytes() < 4 << 20, "{} bytes", stored.bytes());
    let (stored, _) = round_trip(&file, &[noise(1 << 20, 9)]);
    assert_eq!(stored.bytes(), 1 << 20);
}

/// Every flip of one bit in the file is found, in the padding and in compressed pieces too: in each round, one bit of
/// each chunk.
#[test]
fn ten_thousand_flips_of_a_bit_are_ten_thousand_errors() {
    const CHUNKS: u64 = 500;
    // A disk would have to write each flip before it is read back.
    let folder = Scratched::in_memory();
    let file = folder.file(Naming::Named);
    let parts = |seed: u64| match seed % 10 {
        0 => vec![noise(100, seed), noise(66_001, seed)],
        1..4 => vec![(0..20_000).map(|place| (place / 1000) as u8).collect()],
        _ => vec![noise(5_000, seed)],
    };
    let stored: Vec<Stored> = (0..CHUNKS).map(|seed| round_trip(&file, &parts(seed)).0).collect();
    let raw = OpenOptions::new().read(true).write(true).open(file.path()).unwrap();
    let mut found = 0;
    for round in 0..20 {
        let mut undo = Vec::new();
        for (stored, seed) in stored.iter().zip(0..) {
            let bytes: u64 = stored.bytes();
            let chance = noise(8, round * CHUNKS + seed);
            let mut bit = u64::from_le_bytes(chance.try_into().unwrap()) % (bytes * 8);
            let mut places = stored.places().into_iter();
            let offset = loop {
                let (offset, length) = places.next().unwrap();
                match bit.checked_sub(length as u64 * 8) {
                    Some(further) => bit = further,
                    None => break offset + bit / 8,
                }
            };
            let mut byte = [0];
            raw.read_exact_at(&mut byte, offset).unwrap();
            raw.write_all_at(&[byte[0] ^ (1 << (bit % 8))], offset).unwrap();
            undo.push((offset, byte));
        }
        found += stored.iter().filter(|stored| read(stored).is_err_and(|error| error.is_corrupt())).count();
        undo.iter().for_each(|(offset, byte)| raw.write_all_at(byte, *offset).unwrap());
    }
    assert_eq!(found, 10_000);
    assert!(
        stored.iter().zip(0..).all(|(stored, seed)| read(stored).unwrap() == parts(seed)),
        "all were undone"
    );
    raw.write_all_at(&[0x55; 4096], stored[5].places()[0].0).unwrap();
    let error = read(&stored[5]).unwrap_err().to_string();
    let (path, offset) = (file.path().display(), stored[5].places()[0].0);
    let expected = format!("cannot restore c1 from {path} at offset {offset}: the checksum of ");
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn a_file_that_was_cut_is_found_out() {
    let folder = Scratched::new();
    let file = folder.file(Naming::Named);
    let (stored, _) = round_trip(&file, &[noise(100_000, 1)]);
    OpenOptions::new().write(true).open(file.path()).unwrap().set_len(50_000).unwrap();
    let error = read(&stored).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("the file ends after"), "{error}");
}

#[test]
fn the_limit_holds_and_places_are_used_again() {
    let folder = Scratched::new();
    let limit = 10 << 20;
    let options = FileOptions { folder: folder.0.clone(), limit, ..FileOptions::default() };
    let file = SpillFile::create(options).unwrap();
    let bytes = noise(3 << 20, 1);
    let mut all: Vec<Stored> = (0..3).map(|chunk| file.write(ChunkId(chunk), &[&bytes]).unwrap()).collect();
    let error = file.write(ChunkId(4), &[&bytes]).unwrap_err();
    assert!(error.is_full(), "{error}");
    for round in 0..20 {
        drop(all.remove(round % 3));
        all.push(file.write(ChunkId(5), &[&bytes]).unwrap());
    }
    assert_eq!((file.bytes(), file.bytes_used()), (limit, 9 << 20));
}

/// On a disk of 8 MiB: an early and exact error, what was written stays readable, and freed room is used again.
#[test]
fn a_full_disk_refuses_cleanly_and_goes_on_when_there_is_room() {
    let folder = Scratched::new();
    let Some(disk) = SmallDisk::mount(&folder.0, 8) else { return };
    let file = folder.file(Naming::Unnamed);
    let chunks: Vec<Vec<u8>> = (0..5).map(|seed| noise(2 << 20, seed)).collect();
    let mut stored = Vec::new();
    let error = loop {
        match file.write(ChunkId(stored.len() as u64), &[&chunks[stored.len()]]) {
            Ok(one) => stored.push(one),
            Err(error) => break error,
        }
    };
    assert!(error.is_full(), "{error}");
    assert!(error.to_string().contains(folder.0.to_str().unwrap()), "{error}");
    assert_eq!(stored.len(), 4, "all of the disk was used");
    for (one, bytes) in stored.iter().zip(&chunks) {
        assert!(read(one).unwrap()[0] == *bytes);
    }
    stored.pop();
    let last = file.write(ChunkId(4), &[&chunks[4]]).unwrap();
    assert!(read(&last).unwrap()[0] == chunks[4]);
    drop((stored, last, file));
    drop(disk);
}

/// A file system in memory takes what is unaligned, and what it is asked to forget is no loss.
#[test]
fn a_file_system_in_memory_will_do() {
    let folder = Scratched::new();
    let Some(disk) = SmallDisk::mount(&folder.0, 16) else { return };
    let file = folder.file(Naming::Unnamed);
    let parts = vec![noise(10, 1), noise((5 << 20) + 3, 2)];
    assert!(round_trip(&file, &parts).1 == parts);
    drop(file);
    drop(disk);
}

/// The system's own word on what the page cache has of the file: nothing, or the budget would be a fiction.
#[test]
fn direct_io_leaves_nothing_in_the_page_cache() {
    let folder = Scratched::new();
    let file = folder.file(Naming::Named);
    let (stored, _) = round_trip(&file, &[noise(8 << 20, 1)]);
    let raw = OpenOptions::new().read(true).write(true).open(file.path()).unwrap();
    if OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(file.path()).is_err() {
        println!("SKIP: the file system of {} takes no direct IO", folder.0.display());
        return;
    }
    let pages = cached_pages(&raw, stored.bytes() as usize);
    assert_eq!(pages, 0);
    raw.read_exact_at(&mut [0; 4096], 0).unwrap();
    assert!(cached_pages(&raw, stored.bytes() as usize) > 0, "the count is one");
}

fn cached_pages(file: &File, length: usize) -> usize {
    let number = file.as_raw_fd();
    // SAFETY: a new mapping takes nobody's memory.
    let memory =
        unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, number, 0) };
    assert_ne!(memory, libc::MAP_FAILED);
    let mut pages = vec![0u8; length / 4096];
    // SAFETY: the mapping is this long, and there is one byte for each of its pages.
    let result = unsafe { libc::mincore(memory, length, pages.as_mut_ptr()) };
    assert_eq!(result, 0);
    // SAFETY: nothing refers to the mapping.
    unsafe { libc::munmap(memory, length) };
    pages.iter().filter(|page| **page & 1 != 0).count()
}

#[test]
fn the_file_is_gone_with_its_last_owner_and_open_until_then() {
    let folder = Scratched::new();
    for naming in [Naming::Unnamed, Naming::Named] {
        let file = folder.file(naming);
        assert_eq!(folder.names().is_empty(), naming == Naming::Unnamed);
        let bytes = noise(9_000, 1);
        let stored = file.write(ChunkId(1), &[&bytes]).unwrap();
        drop(file);
        assert!(read(&stored).unwrap()[0] == bytes);
        drop(stored);
        assert!(folder.names().is_empty());
    }
}
