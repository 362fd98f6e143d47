//! The arena against its promises: slots of their own, everything given back, limits that hold.

use super::*;
use crate::neighbour::Neighbours;
use crate::place::SharedPlace;
use crate::size::{HUGE_PAGE, PAGE};
use proptest::prelude::*;

fn arena(backing: Backing, warm_bytes_max: usize) -> Arena {
    Arena::new(ArenaConfig { backing, warm_bytes_max, ..ArenaConfig::default() })
}

impl State {
    /// The whole state can check itself: each byte of a slab is of one slot in `used`, warm, or cold.
    fn check(&mut self, used: &[(SlabId, usize, usize)]) {
        let warm_bytes: usize = self.warm.iter().map(|(size, slots)| size * slots.len()).sum();
        assert_eq!(warm_bytes, self.warm_bytes);
        assert!(self.warm_bytes <= self.warm_bytes_max);
        assert_eq!(used.iter().map(|(_, _, bytes)| bytes).sum::<usize>(), self.in_use_bytes);
        assert_eq!(used.len(), self.slots);
        let warm = self.warm.values().flatten().map(|warm| &warm.part);
        let warm = warm.map(|part| (part.slab.id(), part.offset, part.bytes));
        let parts: Vec<(SlabId, usize, usize)> = used.iter().copied().chain(warm).collect();
        for (id, mapped) in &mut self.slabs {
            // Made cold in a copy of what is free: the copy panics where parts overlap.
            let mut cold = std::mem::replace(&mut mapped.cold, Extents::all(1));
            for (_, offset, bytes) in parts.iter().filter(|(slab, _, _)| slab == id) {
                cold.give(*offset, *bytes);
            }
            assert!(cold.is_all(mapped.slab.len()), "nothing of {id:?} is lost");
            for (_, offset, bytes) in parts.iter().filter(|(slab, _, _)| slab == id) {
                assert!(cold.take_at(*offset, *bytes));
            }
            mapped.cold = cold;
        }
    }
}

fn name(slot: &Slot) -> (SlabId, usize, usize) {
    (slot.slab(), slot.offset(), slot.bytes)
}

fn bytes(slot: &mut Slot) -> &mut [u8] {
    // SAFETY: the slot is taken, and nobody else has it.
    unsafe { std::slice::from_raw_parts_mut(slot.start().as_ptr(), slot.bytes) }
}

fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![1..4 * PAGE, 1..64 * PAGE, Just(HUGE_PAGE), HUGE_PAGE..3 * HUGE_PAGE]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Each slot is marked at its first and last byte when it is taken; the marks are still there when it is freed.
    #[test]
    fn slots_never_overlap_and_none_is_lost(
        is_memfd: bool,
        warm_bytes_max in prop_oneof![Just(0), Just(64 * PAGE), Just(8 * HUGE_PAGE)],
        steps in prop::collection::vec((any::<bool>(), sizes(), any::<prop::sample::Index>()), 1..60),
    ) {
        let backing = if is_memfd { Backing::Memfd } else { Backing::Anonymous };
        let arena = arena(backing, warm_bytes_max);
        let mut out: Vec<(Slot, u8)> = Vec::new();
        for (number, (take, len, which)) in steps.into_iter().enumerate() {
            if take || out.is_empty() {
                let mut slot = arena.take(len).unwrap();
                prop_assert!(slot.bytes >= len);
                prop_assert_eq!(slot.start().addr().get() % PAGE, 0);
                if slot.is_zero() {
                    let bytes = bytes(&mut slot);
                    prop_assert_eq!((bytes[0], bytes[len / 2], bytes[bytes.len() - 1]), (0, 0, 0));
                }
                let mark = number as u8 | 1;
                let bytes = bytes(&mut slot);
                (bytes[0], bytes[len / 2]) = (mark, mark);
                *bytes.last_mut().unwrap() = mark;
                out.push((slot, mark));
            } else {
                let (mut slot, mark) = out.swap_remove(which.index(out.len()));
                let bytes = bytes(&mut slot);
                prop_assert_eq!((bytes[0], bytes[bytes.len() - 1]), (mark, mark));
            }
            let names: Vec<_> = out.iter().map(|(slot, _)| name(slot)).collect();
            arena.0.lock().check(&names);
        }
        drop(out);
        arena.cool();
        let usage = arena.usage();
        prop_assert_eq!((usage.in_use_bytes, usage.warm_bytes, usage.slots, usage.slabs), (0, 0, 0, 0));
    }
}

#[test]
fn a_freed_slot_is_the_next_of_its_size() {
    let arena = arena(Backing::Anonymous, 64 << 20);
    let mut slot = arena.take(HUGE_PAGE).unwrap();
    bytes(&mut slot).fill(9);
    let (place, was_zero) = (name(&slot), slot.is_zero());
    drop(slot);
    let mut slot = arena.take(HUGE_PAGE - 5).unwrap();
    assert_eq!((place, was_zero, slot.is_zero()), (name(&slot), true, false));
    assert!(bytes(&mut slot).iter().all(|byte| *byte == 9), "it is warm");
}

#[test]
fn the_oldest_warm_slots_cool_first() {
    let arena = arena(Backing::Anonymous, 3 * HUGE_PAGE);
    let slots: Vec<Slot> = (0..4).map(|_| arena.take(HUGE_PAGE).unwrap()).collect();
    let places: Vec<_> = slots.iter().map(name).collect();
    drop(slots);
    assert_eq!(arena.usage().warm_bytes, 3 * HUGE_PAGE);
    let again: Vec<Slot> = (0..4).map(|_| arena.take(HUGE_PAGE).unwrap()).collect();
    let warm: Vec<_> = again.iter().filter(|slot| !slot.is_zero()).map(name).collect();
    assert_eq!(warm, [places[3], places[2], places[1]]);
}

#[test]
fn the_limit_is_an_error_and_warm_slots_make_room_for_it() {
    let arena = Arena::new(ArenaConfig { in_use_bytes_max: 4 * HUGE_PAGE, ..ArenaConfig::default() });
    let three = arena.take(3 * HUGE_PAGE).unwrap();
    let error = arena.take(2 * HUGE_PAGE).unwrap_err();
    assert!(error.is_over_limit());
    assert_eq!(
        error.to_string(),
        "cannot take 4 MiB of memory, a slot of 4 MiB: 6 MiB of at most 8 MiB are in use"
    );
    drop(three);
    assert_eq!(arena.usage().warm_bytes, 3 * HUGE_PAGE);
    let two = arena.take(2 * HUGE_PAGE).unwrap();
    let usage = arena.usage();
    assert_eq!((usage.in_use_bytes, usage.warm_bytes, usage.peak_bytes), (2 * HUGE_PAGE, 0, 3 * HUGE_PAGE));
    arena.set_in_use_bytes_max(HUGE_PAGE);
    assert!(arena.take(1).unwrap_err().is_over_limit());
    drop(two);
    assert_eq!(arena.usage().warm_bytes, 0, "what is above the limit does not stay");
    assert!(arena.take(HUGE_PAGE).is_ok());
}

#[test]
fn what_the_kernel_refuses_is_an_error_and_counts_for_nothing() {
    let arena = arena(Backing::Anonymous, 64 << 20);
    drop(arena.take(HUGE_PAGE).unwrap());
    let before = arena.usage();
    let error = arena.take(1 << 60).unwrap_err();
    assert!(!error.is_over_limit());
    assert!(error.to_string().contains("os error"), "{error}");
    assert!(arena.take(usize::MAX).is_err());
    let after = arena.usage();
    assert_eq!((after.in_use_bytes, after.slots), (before.in_use_bytes, before.slots));
    assert!(arena.take(HUGE_PAGE).is_ok(), "it goes on");
}

#[test]
fn a_slabs_file_can_be_mapped_by_another() {
    let arena = arena(Backing::Memfd, 0);
    let mut slot = arena.take(3 * PAGE).unwrap();
    bytes(&mut slot).fill(5);
    let place = SharedPlace::new(slot.shared().unwrap(), slot.offset(), 3 * PAGE);
    let seen = Neighbours::default().open(place, || ()).unwrap();
    assert_eq!(seen.as_ref().len(), 3 * PAGE);
    assert!(seen.as_ref().iter().all(|byte| *byte == 5));
    drop((seen, slot));
    assert_eq!(arena.usage().slabs, 0, "all of it is cold, so it is gone");
    let gone = Neighbours::default().open(place, || ()).map(drop).unwrap_err();
    assert_eq!(gone.kind(), std::io::ErrorKind::NotFound);
    assert!(Arena::new(ArenaConfig::default()).take(PAGE).unwrap().shared().is_none());
}

#[test]
fn threads_take_and_give_at_once() {
    let arena = arena(Backing::Anonymous, HUGE_PAGE);
    let (send, receive) = std::sync::mpsc::channel::<(Slot, u8)>();
    std::thread::scope(|scope| {
        for thread in 1..=3_u8 {
            let (arena, send) = (arena.clone(), send.clone());
            scope.spawn(move || {
                for step in 0..300_usize {
                    let mut slot = arena.take(1 + step * 911 % (40 * PAGE)).unwrap();
                    let last = slot.bytes - 1;
                    (bytes(&mut slot)[0], bytes(&mut slot)[last]) = (thread, thread);
                    if step % 2 == 0 {
                        send.send((slot, thread)).unwrap();
                    }
                }
            });
        }
        drop(send);
        for (mut slot, thread) in receive {
            let last = slot.bytes - 1;
            assert_eq!((bytes(&mut slot)[0], bytes(&mut slot)[last]), (thread, thread));
        }
    });
    assert_eq!((arena.usage().in_use_bytes, arena.usage().slots), (0, 0));
    arena.0.lock().check(&[]);
}

#[test]
fn warm_slots_go_as_others_come_into_use() {
    let arena = Arena::new(ArenaConfig::default());
    arena.set_resident_bytes_max(3 << 20);
    let (large, small) =
        (crate::BufMut::take(&arena, 2 << 20).unwrap(), crate::BufMut::take(&arena, 1 << 20).unwrap());
    drop((large, small));
    assert_eq!(arena.usage().warm_bytes, 3 << 20);
    let other = crate::BufMut::take(&arena, 512 << 10).unwrap();
    let usage = arena.usage();
    assert!(usage.in_use_bytes + usage.warm_bytes <= 3 << 20, "{usage:?}");
    drop(other);
    arena.set_resident_bytes_max(0);
    assert_eq!(arena.usage().warm_bytes, 0);
}
