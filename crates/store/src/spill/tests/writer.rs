//! Transfers: every one ends once, with its memory, whatever happens.

use super::faulty::{Call, Fault, Faulty};
use super::*;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

type Bytes = Vec<Vec<u8>>;

/// A writer that sends its completions to the test.
fn writer(
    file: SpillFile,
    transfers_max: usize,
) -> (Writer<Bytes, Bytes>, Receiver<Completion<Bytes, Bytes>>) {
    let (send, receive) = channel();
    let writer = Writer::new(file, transfers_max, move |completion| drop(send.send(completion)));
    (writer, receive)
}

fn write(writer: &Writer<Bytes, Bytes>, chunk: u64, memory: Bytes) {
    writer.submit(Transfer::Write { chunk: ChunkId(chunk), memory }).unwrap();
}

fn read(writer: &Writer<Bytes, Bytes>, chunk: ChunkId, stored: Stored, haste: Haste) {
    let memory = stored.lengths().iter().map(|length| vec![0; *length]).collect();
    writer.submit(Transfer::Read { chunk, stored, memory, haste }).unwrap();
}

fn next(receive: &Receiver<Completion<Bytes, Bytes>>) -> Completion<Bytes, Bytes> {
    receive.recv_timeout(Duration::from_secs(60)).expect("every transfer ends")
}

fn written(completion: Completion<Bytes, Bytes>) -> (ChunkId, Stored, Bytes) {
    match completion {
        Completion::Write { chunk, memory, outcome: Outcome::Done(stored) } => (chunk, stored, memory),
        other => panic!("{other:?}"),
    }
}

fn parts(seed: u64) -> Bytes {
    vec![noise(seed as usize % 300, seed), noise((seed as usize * 777_777) % 6_000_000, seed + 1000)]
}

#[test]
fn what_two_threads_write_and_read_at_once_comes_back() {
    let folder = Scratched::new();
    let (writer, receive) = writer(folder.file(Naming::Unnamed), 64);
    assert_eq!(writer.traffic(), Traffic::default());
    let mut bytes = 0;
    for seed in 0..30 {
        bytes += parts(seed).iter().map(|part| part.len() as u64).sum::<u64>();
        write(&writer, seed, parts(seed));
    }
    let stored: Vec<_> = (0..30).map(|_| written(next(&receive))).collect();
    for (chunk, stored, memory) in stored {
        assert!(memory == parts(chunk.0), "the memory comes back");
        let haste = if chunk.0 % 2 == 0 { Haste::Task } else { Haste::Ahead };
        read(&writer, chunk, stored, haste);
    }
    for _ in 0..30 {
        match next(&receive) {
            Completion::Read { chunk, memory, outcome: Outcome::Done(()), .. } => {
                assert!(memory == parts(chunk.0));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(writer.traffic(), Traffic { written: bytes, read: bytes, in_flight: 0 });
}

#[test]
fn a_read_that_a_task_waits_for_goes_between_the_pieces_of_writes() {
    let disk = Faulty::default();
    let file = disk.file();
    let small = file.write(ChunkId(9), &[&noise(5_000, 1)]).unwrap();
    let (writer, receive) = writer(file, 64);
    disk.hold();
    for chunk in 0..3 {
        write(&writer, chunk, vec![noise(32 << 20, chunk)]);
    }
    read(&writer, ChunkId(9), small, Haste::Task);
    disk.release();
    for _ in 0..4 {
        next(&receive);
    }
    let calls = disk.calls();
    assert_eq!(calls.len(), 1 + 3 * 8 + 1);
    let place = calls.iter().position(|call| *call == Call::Read).unwrap();
    assert!(place <= 6, "the read was call {place}: it waits for the pieces under way, not for a chunk");
}

#[test]
fn a_read_ahead_that_a_task_comes_to_wait_for_overtakes() {
    let disk = Faulty::default();
    let file = disk.file();
    let small = file.write(ChunkId(9), &[&noise(5_000, 1)]).unwrap();
    let (writer, receive) = writer(file, 64);
    disk.hold();
    for chunk in 0..4 {
        write(&writer, chunk, vec![noise(32 << 20, chunk)]);
    }
    read(&writer, ChunkId(9), small, Haste::Ahead);
    writer.hurry(ChunkId(9));
    disk.release();
    assert!(matches!(next(&receive), Completion::Read { chunk: ChunkId(9), outcome: Outcome::Done(()), .. }));
}

#[test]
fn a_cancelled_transfer_ends_and_gives_its_place_back() {
    let disk = Faulty::default();
    let file = disk.file();
    let (writer, receive) = writer(file.clone(), 64);
    disk.hold();
    for chunk in 0..4 {
        write(&writer, chunk, vec![noise(32 << 20, chunk)]);
    }
    writer.cancel(ChunkId(3));
    writer.cancel(ChunkId(0));
    writer.cancel(ChunkId(77));
    disk.release();
    let mut ends = HashMap::new();
    for _ in 0..4 {
        match next(&receive) {
            Completion::Write { chunk, memory, outcome } => {
                assert!(memory == [noise(32 << 20, chunk.0)]);
                ends.insert(chunk.0, outcome);
            }
            other => panic!("{other:?}"),
        }
    }
    let is_cancelled = |chunk: u64| matches!(ends[&chunk], Outcome::Cancelled);
    assert_eq!([0, 1, 2, 3].map(is_cancelled), [true, false, false, true]);
    assert_eq!(file.bytes_used(), 64 << 20);
    assert!(disk.calls().len() < 8 + 8 + 4, "the rest of what was under way was not written");
}

#[test]
fn a_failed_transfer_is_exact_and_hands_everything_back() {
    let disk = Faulty::default();
    let (writer, receive) = writer(disk.file(), 64);
    disk.on_write(&[Fault::Error(libc::EIO)]);
    write(&writer, 1, vec![noise(10_000, 1)]);
    let Completion::Write { memory, outcome: Outcome::Failed(error), .. } = next(&receive) else { panic!() };
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    write(&writer, 1, memory);
    let (chunk, stored, memory) = written(next(&receive));
    disk.on_read(&[Fault::Error(libc::EIO)]);
    read(&writer, chunk, stored, Haste::Task);
    let Completion::Read { stored, outcome: Outcome::Failed(_), .. } = next(&receive) else { panic!() };
    read(&writer, chunk, stored, Haste::Task);
    let Completion::Read { memory: back, outcome: Outcome::Done(()), .. } = next(&receive) else { panic!() };
    assert!(back == memory);
}

#[test]
fn more_than_the_queue_holds_is_handed_back() {
    let disk = Faulty::default();
    let (writer, receive) = writer(disk.file(), 2);
    disk.hold();
    write(&writer, 0, vec![vec![1; 10]]);
    write(&writer, 1, vec![vec![1; 10]]);
    let refused =
        writer.submit(Transfer::Write { chunk: ChunkId(2), memory: vec![vec![7; 10]] }).unwrap_err();
    assert!(matches!(refused.why, Refusal::Busy));
    assert_eq!(writer.traffic().in_flight, 20);
    disk.release();
    next(&receive);
    writer.submit(refused.transfer).unwrap();
    next(&receive);
    assert_eq!(written(next(&receive)).2, [[7; 10]]);
}

#[test]
fn a_writer_that_is_dropped_ends_every_transfer_first() {
    let disk = Faulty::default();
    let file = disk.file();
    let (writer, receive) = writer(file.clone(), 64);
    disk.hold();
    for chunk in 0..10 {
        write(&writer, chunk, vec![noise(16 << 20, chunk)]);
    }
    let ends = writer.end();
    std::thread::scope(|scope| {
        scope.spawn(|| drop(writer));
        while !ends() {
            std::thread::yield_now();
        }
        disk.release();
    });
    drop(ends);
    let ends: Vec<_> = receive.try_iter().collect();
    assert_eq!(ends.len(), 10);
    let is_cancelled =
        |end: &&Completion<_, _>| matches!(end, Completion::Write { outcome: Outcome::Cancelled, .. });
    assert!(ends.iter().filter(is_cancelled).count() >= 8);
    drop(ends);
    assert_eq!(file.bytes_used(), 0);
}

/// Memory that cannot be looked at.
#[derive(Debug)]
struct Broken(bool);

impl Parts for Broken {
    fn parts(&self) -> Vec<&[u8]> {
        // Its size can be asked for, on the thread of whoever submits it.
        let is_spilling = std::thread::current().name().is_some_and(|name| name.starts_with("spill-"));
        assert!(!(self.0 && is_spilling), "this memory is broken on purpose");
        vec![&[1, 2, 3]]
    }
}

#[test]
fn memory_and_callbacks_that_panic_do_not_stop_the_threads() {
    let (send, receive) = channel();
    let writer: Writer<Broken, Bytes> = Writer::new(Faulty::default().file(), 64, move |completion| {
        let Completion::Write { chunk, outcome, .. } = completion else { panic!() };
        send.send((chunk, matches!(outcome, Outcome::Done(_)))).unwrap();
        panic!("this callback panics on purpose");
    });
    for chunk in 0..6 {
        let memory = Broken(chunk % 2 == 0);
        writer.submit(Transfer::Write { chunk: ChunkId(chunk), memory }).unwrap();
    }
    for _ in 0..6 {
        let (chunk, is_done) = receive.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(is_done, chunk.0 % 2 == 1);
    }
}

/// The policy and the writer together, on a small disk: what does not fit fails, nothing is lost.
#[test]
fn a_full_disk_reaches_the_policy_as_full() {
    let folder = Scratched::new();
    let Some(disk) = SmallDisk::mount(&folder.0, 8) else { return };
    let (writer, receive) = writer(folder.file(Naming::Unnamed), 64);
    for chunk in 0..4 {
        write(&writer, chunk, vec![noise(3 << 20, chunk)]);
    }
    let mut kept = Vec::new();
    for _ in 0..4 {
        match next(&receive) {
            Completion::Write { chunk, memory, outcome } => match outcome {
                Outcome::Done(stored) => kept.push((chunk, stored)),
                Outcome::Failed(error) => {
                    assert!(error.is_full(), "{error}");
                    assert!(memory == [noise(3 << 20, chunk.0)], "it stays in memory");
                }
                Outcome::Cancelled => panic!("nobody cancelled"),
            },
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(kept.len(), 2);
    for (chunk, stored) in kept {
        read(&writer, chunk, stored, Haste::Task);
        let Completion::Read { memory, outcome: Outcome::Done(()), .. } = next(&receive) else { panic!() };
        assert!(memory == [noise(3 << 20, chunk.0)]);
    }
    drop((writer, receive));
    drop(disk);
}
