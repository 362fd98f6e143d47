//! Large values that leave their slots and come back, by the word of a keeper that lets everybody in.

use super::*;
use crate::kept::{self, Keeper, Made, Remade, Wish};
use crate::{Dep, Extra, Many, Own, Value, put, spawn_with};
use poniard_model::codec::{Encoded, SharedBytes};
use poniard_model::{ChunkId, TaskId};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

/// It remembers where the values are, and obeys nobody: the tests send values away and bring them back.
#[derive(Default)]
pub(super) struct Open {
    away: Mutex<Vec<ChunkId>>,
    pub(super) freed: Mutex<Vec<ChunkId>>,
    /// What was made again, and its bytes, or why not.
    remade: Mutex<Vec<(ChunkId, Result<u64, String>)>>,
}

pub(super) static KEEPER: Open =
    Open { away: Mutex::new(Vec::new()), freed: Mutex::new(Vec::new()), remade: Mutex::new(Vec::new()) };

impl Keeper for Open {
    fn made(&self, _: Made) {}
    fn reads(&self, _: TaskId, _: ChunkId) {}
    fn asks(&self, _: TaskId, _: Wish) -> bool {
        true
    }
    fn is_roomy(&self, _: Option<u64>) -> bool {
        true
    }
    fn learned(&self, _: &'static Site, _: u64) {}
    fn ended(&self, _: TaskId, _: Option<Made>) {}
    fn paused(&self, _: TaskId) {}
    fn resumed(&self, _: TaskId) {}
    fn pin(&self, chunk: ChunkId) -> bool {
        !self.away.lock().unwrap().contains(&chunk)
    }
    fn unpin(&self, _: ChunkId) {}
    fn remade(&self, chunk: ChunkId, outcome: Remade) {
        let outcome = match outcome {
            Remade::Made(bytes) => Ok(bytes),
            Remade::Halted => Err("halted".into()),
            Remade::Failed(error) => Err(error.to_string()),
        };
        self.remade.lock().unwrap().push((chunk, outcome));
    }
    fn released(&self, chunk: ChunkId) {
        self.freed.lock().unwrap().push(chunk);
        kept::free(chunk);
    }

    fn why_out_of_reach(&self, _: ChunkId) -> Option<Cause> {
        None
    }
}

pub(super) fn block(first: u64) -> Vec<u64> {
    (first..first + 4096).collect()
}

/// Bytes of a value as they would be on disk.
pub(super) fn written(chunk: ChunkId) -> (Vec<u8>, Vec<Vec<u8>>) {
    let contents = kept::contents(chunk).expect("it is in memory").unwrap();
    let parts = contents.parts();
    (parts[0].to_vec(), parts[1..].iter().map(|part| part.to_vec()).collect())
}

struct Bytes(Vec<u8>);

impl SharedBytes for Bytes {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

pub(super) fn read_back(chunk: ChunkId, (head, buffers): (Vec<u8>, Vec<Vec<u8>>)) {
    let share = |bytes| -> Arc<dyn SharedBytes> { Arc::new(Bytes(bytes)) };
    kept::restore(chunk, &Encoded::from_parts(head, buffers.into_iter().map(share).collect())).unwrap();
}

/// Sends the value away and brings it back, whoever reads it meanwhile.
fn travel(handle: &Handle<Vec<u64>>) {
    let chunk = handle.id().into();
    let bytes = written(chunk);
    kept::evict(chunk);
    read_back(chunk, bytes);
}

#[test]
fn a_large_value_leaves_and_comes_back_and_is_freed_once() {
    let _pool = together();
    kept::set_keeper(&KEEPER);
    let made = spawn(Value::new(7_u64), |first| Ok(block(first)), &SITE);
    made.erase().wait().unwrap();
    let chunk: ChunkId = made.id().into();
    assert!(made.is_kept() && made.is_resident());
    assert_eq!(made.bytes(), Some(4096 * 8));
    let bytes = written(chunk);
    KEEPER.away.lock().unwrap().push(chunk);
    kept::evict(chunk);
    assert!(!made.is_resident());
    read_back(chunk, bytes);
    KEEPER.away.lock().unwrap().retain(|away| *away != chunk);
    assert_eq!(made.cloned().unwrap(), block(7));
    drop(made);
    until("it is freed", || KEEPER.freed.lock().unwrap().contains(&chunk));
}

#[test]
fn what_is_borrowed_leaves_when_the_last_one_is_done() {
    let _pool = together();
    kept::set_keeper(&KEEPER);
    let value = put(block(3), &SITE);
    let (first, second) = (value.clone().share().unwrap(), value.clone().share().unwrap());
    kept::evict(value.id().into());
    assert!(value.is_resident());
    assert_eq!((first[0], second[4095]), (3, 4098));
    drop(first);
    assert!(value.is_resident());
    let bytes = written(value.id().into());
    drop(second);
    assert!(!value.is_resident());
    read_back(value.id().into(), bytes);
    // It was to leave, and is wanted again before that.
    let third = value.clone().share().unwrap();
    let bytes = written(value.id().into());
    kept::evict(value.id().into());
    read_back(value.id().into(), bytes);
    drop(third);
    assert!(value.is_resident());
}

/// What came of making the value again.
fn made_again(chunk: ChunkId) -> Result<u64, String> {
    kept::remake(chunk);
    let come = || KEEPER.remade.lock().unwrap().iter().position(|(other, _)| *other == chunk);
    until("it is made again", || come().is_some());
    let place = come().expect("nobody else takes it");
    KEEPER.remade.lock().unwrap().swap_remove(place).1
}

#[test]
fn a_value_that_was_dropped_is_made_again_of_what_its_task_was_made_of() {
    static FAILS: AtomicBool = AtomicBool::new(false);
    let _pool = together();
    kept::set_keeper(&KEEPER);
    let cached = || {
        let mut extra = Extra::default();
        extra.is_cached = true;
        extra
    };
    let input = spawn(Value::new(7_u64), |first| Ok(block(first)), &SITE);
    let made = spawn_with(
        (Dep::new(input.clone()), Value::new(String::from("text"))),
        |(x, text)| {
            assert!(!FAILS.load(Relaxed), "on purpose");
            Ok(vec![(x[0], text); 1000])
        },
        &SITE,
        cached(),
    );
    made.erase().wait().unwrap();
    drop(input);
    let chunk: ChunkId = made.id().into();
    for _ in 0..3 {
        kept::evict(chunk);
        assert!(!made.is_resident());
        assert!(made_again(chunk).unwrap() >= 1000 * 28);
        assert_eq!(made.cloned().unwrap(), vec![(7, String::from("text")); 1000]);
    }
    kept::evict(chunk);
    FAILS.store(true, Relaxed);
    assert!(made_again(chunk).unwrap_err().contains("on purpose"));
    FAILS.store(false, Relaxed);
    assert!(made_again(chunk).is_ok() && made.is_resident());
    // Small ones do not keep what they were made of.
    let small = spawn_with(Dep::new(made), |x| Ok(vec![x.len()]), &SITE, cached());
    assert_eq!(small.cloned().unwrap(), [1000]);
    until("the input is freed", || KEEPER.freed.lock().unwrap().contains(&chunk));
}

#[test]
fn tasks_read_and_take_values_that_travel_meanwhile() {
    let _pool = together();
    kept::set_keeper(&KEEPER);
    for round in 0..times(300) as u64 {
        let values: Vec<_> = (0..4).map(|i| put(block(round + i), &SITE)).collect();
        // Held, they are to leave and never do; the tasks come and go meanwhile.
        let held: Vec<_> = values.iter().map(|value| value.clone().share().unwrap()).collect();
        let sum =
            spawn(Many::new(values.iter().cloned()), |all| Ok(all.iter().map(|x| x[0]).sum::<u64>()), &SITE);
        let read = spawn((Dep::new(values[0].clone()), Value::new(round)), |(x, y)| Ok(x[0] - y), &SITE);
        values.iter().for_each(travel);
        drop(held);
        assert_eq!(sum.cloned().unwrap(), 4 * round + 6);
        assert_eq!(read.cloned().unwrap(), 0);
        let mut values = values;
        let own = spawn(
            Own::new(values.pop().unwrap()),
            |mut own| {
                own.push(1);
                Ok(own)
            },
            &SITE,
        );
        let copy = spawn(Own::new(values[0].clone()), |own| Ok(own.len() as u64), &SITE);
        assert_eq!(own.cloned().unwrap().len(), 4097);
        assert_eq!(copy.cloned().unwrap(), 4096);
        assert_eq!(values[0].cloned().unwrap(), block(round));
    }
}
