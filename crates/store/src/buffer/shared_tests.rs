use super::*;
use crate::arena::ArenaConfig;
use crate::slab::Backing;
use std::sync::atomic::{AtomicUsize, Ordering};

fn shared_block(bytes: &[u8]) -> Buf {
    let arena = Arena::new(ArenaConfig { backing: Backing::Memfd, ..ArenaConfig::default() });
    BufMut::copy_of(&arena, bytes).unwrap().freeze()
}

#[test]
fn bytes_of_a_memory_file_are_read_where_they_are() {
    let numbers: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
    let block = shared_block(&numbers);
    let place = block.slice(1000..90_000).shared_place().unwrap();
    let (neighbours, ended) = (Neighbours::default(), Arc::new(AtomicUsize::new(0)));
    let end = || {
        let ended = ended.clone();
        move || {
            ended.fetch_add(1, Ordering::Relaxed);
        }
    };
    let seen = Buf::open(&neighbours, place, end()).unwrap();
    assert_eq!(*seen, numbers[1000..90_000]);
    // A third process would find them by this one.
    let third = Buf::open(&Neighbours::default(), seen.slice(5..50).shared_place().unwrap(), end()).unwrap();
    assert_eq!(*third, numbers[1005..1050]);
    let part = seen.slice(10..);
    drop(seen);
    assert_eq!(ended.load(Ordering::Relaxed), 0, "a part is still read");
    drop((part, third));
    assert_eq!(ended.load(Ordering::Relaxed), 2);
    neighbours.forget_unused();
    assert!(neighbours.is_empty());
}

#[test]
fn memory_that_is_gone_is_not_found_and_the_giver_is_told() {
    let place = shared_block(&[1; 5000]).shared_place().unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    let count = told.clone();
    let gone = Buf::open(&Neighbours::default(), place, move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(gone.unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(told.load(Ordering::Relaxed), 1);
}

#[test]
fn a_place_behind_the_memory_is_refused() {
    let block = shared_block(&[1; 5000]);
    let mut place = block.shared_place().unwrap();
    place.len = u64::MAX - 10;
    let refused = Buf::open(&Neighbours::default(), place, || ()).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData, "{refused}");
}

#[test]
fn what_is_this_processs_alone_has_no_place() {
    let arena = Arena::new(ArenaConfig::default());
    assert_eq!(BufMut::copy_of(&arena, &[1; 5000]).unwrap().freeze().shared_place(), None);
    assert_eq!(Buf::from_vec(vec![1_u8; 5000]).shared_place(), None);
    // From now on its memory is in files, and what is warm of the old kind goes.
    arena.set_backing(Backing::Memfd);
    assert!(BufMut::copy_of(&arena, &[1; 5000]).unwrap().freeze().shared_place().is_some());
}
