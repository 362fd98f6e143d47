//! Buffers against plain vectors: whatever the home, the bytes are the same, and each home gives back what it took.

use super::*;
use crate::arena::ArenaConfig;
use proptest::prelude::*;
use std::io::Write;

/// A file of these bytes that has no name any more.
fn file_of(bytes: &[u8]) -> File {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("poniard-buffer-{}-{number}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn arena() -> Arena {
    Arena::new(ArenaConfig::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_home_holds_the_same_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..10_000),
        parts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..5),
    ) {
        let arena = arena();
        let mut bufs = vec![
            Buf::from_vec(bytes.clone()),
            Buf::from_owner(Arc::<[u8]>::from(bytes.clone())),
            Buf::map(&file_of(&bytes), 0..bytes.len() as u64).unwrap(),
            BufMut::copy_of(&arena, &bytes).unwrap().freeze(),
        ];
        let mut expected = &bytes[..];
        for (a, b) in parts {
            let (a, b) = (a.index(expected.len() + 1), b.index(expected.len() + 1));
            let range = a.min(b)..a.max(b);
            expected = &expected[range.clone()];
            for buf in &mut bufs {
                *buf = buf.slice(range.clone());
            }
        }
        for buf in &bufs {
            prop_assert!(**buf == *expected, "{:?}", buf);
            prop_assert_eq!(buf.as_ptr().addr() % buf.align(), 0);
        }
        drop(bufs);
        prop_assert_eq!(arena.usage().slots, 0);
    }

    #[test]
    fn any_range_of_a_file_is_mapped(len in 0u64..20_000, a: prop::sample::Index, b: prop::sample::Index) {
        let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let (a, b) = (a.index(len as usize + 1), b.index(len as usize + 1));
        let (from, to) = (a.min(b), a.max(b));
        let buf = Buf::map(&file_of(&bytes), from as u64..to as u64).unwrap();
        prop_assert_eq!(&*buf, &bytes[from..to]);
    }
}

#[test]
fn what_is_not_in_the_file_is_not_mapped() {
    let file = file_of(b"four");
    let error = Buf::map(&file, 2..5).unwrap_err();
    assert_eq!(error.to_string(), "bytes 2..5 are not in a file of 4 bytes");
    #[expect(clippy::reversed_empty_ranges)]
    let backwards = Buf::map(&file, 3..2);
    assert!(backwards.is_err());
    assert!(Buf::map(&file, 4..4).unwrap().is_empty());
}

#[test]
fn slots_begin_at_pages_and_small_buffers_at_cache_lines() {
    for (len, align) in [(1, 64), (2047, 64), (2048, 4096), (1 << 20, 4096), (2 << 20, 2 << 20)] {
        let buf = BufMut::zeroed(&arena(), len).unwrap().freeze();
        assert!(buf.align() >= align, "{buf:?} is aligned to {}", buf.align());
        assert_eq!((buf.len(), buf.place().is_some()), (len, len >= 2048));
    }
}

#[test]
fn zeroed_bytes_are_zero_in_a_warm_slot_too() {
    let arena = arena();
    BufMut::take(&arena, 1 << 16).unwrap().fill(1);
    assert_eq!(arena.usage().warm_bytes, 1 << 16);
    assert!(BufMut::zeroed(&arena, 1 << 16).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn bytes_are_written_only_where_nobody_shares_them() {
    let arena = arena();
    let mut slot = BufMut::copy_of(&arena, &[1; 5000]).unwrap().freeze();
    let first = slot.as_ptr();
    slot.as_mut().expect("alone")[0] = 2;
    let other = slot.slice(4..8);
    assert!(slot.is_shared() && slot.as_mut().is_none());
    let slot = BufMut::try_from(slot).unwrap_err();
    drop(other);
    let mut slot = BufMut::try_from(slot).expect("alone again");
    slot[1] = 3;
    assert_eq!((&slot[..3], slot.as_ptr()), (&[2, 3, 1][..], first));

    let mut vec = Buf::from_vec(vec![7_u32; 3]);
    vec.as_mut().expect("alone").fill(0);
    assert_eq!(*vec, [0; 12]);
    for mut buf in
        [Buf::from_owner(vec![1_u8]), Buf::from_static(b"text"), Buf::map(&file_of(b"x"), 0..1).unwrap()]
    {
        assert!(buf.as_mut().is_none(), "{buf:?}");
    }
}

#[test]
fn the_last_part_gives_the_slot_back() {
    let arena = arena();
    let whole = BufMut::zeroed(&arena, 1 << 20).unwrap().freeze();
    let part = whole.slice(5..6);
    let place = part.place().unwrap();
    assert_eq!((place.offset, place.len), (whole.place().unwrap().offset + 5, 1));
    drop(whole);
    assert_eq!(arena.usage().slots, 1);
    assert_eq!(std::thread::spawn(move || part[0]).join().unwrap(), 0);
    assert_eq!(arena.usage().slots, 0);
}

#[test]
fn a_buffer_says_its_size_and_home() {
    let buf = BufMut::zeroed(&arena(), 64 << 20).unwrap();
    assert_eq!(format!("{buf:?}"), "BufMut(64 MiB, slab0 at 0)");
    assert_eq!(format!("{:?}", Buf::from_vec(vec![1_u8; 3])), "Buf(3 bytes, vector)");
}

#[test]
fn a_buffer_that_travelled_is_itself_and_other_bytes_are_kept() {
    struct Word(String);
    impl SharedBytes for Word {
        fn bytes(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }
    let buf = Buf::from_vec(vec![1_u8, 2]);
    let shared: Arc<dyn SharedBytes> = Arc::new(buf.clone());
    assert_eq!(Buf::from_shared(&shared).as_ptr(), buf.as_ptr());
    let word: Arc<dyn SharedBytes> = Arc::new(Word("abc".to_owned()));
    let buf = Buf::from_shared(&word);
    drop(word);
    assert_eq!(*buf, *b"abc");
}
