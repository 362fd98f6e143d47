//! What the tasks do, in whichever process.

use poniard::Blob;
use poniard::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::hint::spin_loop;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A number, and bytes that are all made of it; none where the task makes none.
pub(crate) type Made = (u64, Blob);

/// What a task does before it gives its value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Act {
    Return,
    /// Works for so many microseconds.
    Work(u32),
    /// Waits for so many, as if it worked elsewhere.
    Sleep(u32),
    /// Fails, each time that it is tried.
    Fail,
    /// Spawns so many tasks of its own, and fetches them.
    Nest(u32),
    /// Gives so many words of bytes, too.
    Fill(u32),
}

/// Which task of which graph of which program: what is written down at each start.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Key {
    /// The process that has spawned it.
    pub(crate) program: u32,
    pub(crate) graph: u32,
    pub(crate) place: u32,
}

/// Where starts are written down: a file to which each process appends, so that a killed one takes nothing with it.
pub(crate) fn ledger(program: u32) -> PathBuf {
    std::env::temp_dir().join(format!("poniard-soak-{program}"))
}

/// The starts of one graph, by the place of the task; and how many of them were on other workers than the first.
pub(crate) fn starts(program: u32, graph: u32, size: usize) -> (Vec<u32>, u64) {
    let (mut starts, mut elsewhere) = (vec![0; size], 0);
    let bytes = std::fs::read(ledger(program)).unwrap_or_default();
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    for entry in bytes.chunks_exact(12) {
        let [of, place, worker] = [0, 4, 8].map(|at| number(&entry[at..at + 4]));
        if of == graph {
            starts[place as usize] += 1;
            elsewhere += u64::from(worker != 1);
        }
    }
    (starts, elsewhere)
}

/// Begins a new ledger, or the same one anew.
pub(crate) fn clear_ledger(program: u32) -> io::Result<()> {
    File::create(ledger(program)).map(drop)
}

fn write_down(key: Key) {
    static LEDGER: OnceLock<File> = OnceLock::new();
    let mut file = LEDGER
        .get_or_init(|| OpenOptions::new().append(true).open(ledger(key.program)).expect("it is there"));
    let entry = [key.graph, key.place, my_id().0].map(u32::to_le_bytes).concat();
    file.write_all(&entry).expect("the temporary folder has room");
}

/// The number that a task comes to.
pub(crate) fn mix(place: u32, inputs: impl Iterator<Item = u64>) -> u64 {
    inputs.fold(u64::from(place) + 1, |sum, input| (sum ^ input).rotate_left(7).wrapping_mul(0x9E37_79B9))
}

/// A task of a graph.
pub(crate) fn run(key: Key, act: Act, inputs: &[&Made]) -> Result<Made, String> {
    write_down(key);
    let numbers = inputs.iter().map(|made| {
        assert!(is_whole(made), "an input's {}", bytes_told(made));
        made.0
    });
    let number = mix(key.place, numbers);
    match act {
        Act::Return | Act::Fill(_) => {}
        Act::Work(microseconds) => {
            let began = Instant::now();
            while began.elapsed() < Duration::from_micros(u64::from(microseconds)) {
                spin_loop();
            }
        }
        Act::Sleep(microseconds) => std::thread::sleep(Duration::from_micros(u64::from(microseconds))),
        Act::Fail => return Err(format!("{} fails", key.place)),
        Act::Nest(count) => {
            let tasks: Vec<_> = (0..count).map(|child| spawn!(mix_two(number, child))).collect();
            for (child, task) in (0..).zip(tasks) {
                let value = task.fetch().map_err(|error| format!("child {child}: {error}"))?;
                assert_eq!(value, mix_two(number, child));
            }
        }
    }
    let bytes =
        if let Act::Fill(words) = act { number.to_le_bytes().repeat(words as usize) } else { Vec::new() };
    Ok((number, bytes.into()))
}

/// A task that is given another one's handle, and fetches it.
pub(crate) fn follow(key: Key, (handle,): (DTask<Made>,)) -> Result<Made, String> {
    let made = handle.fetch_ref().map_err(|error| format!("behind a handle: {}", error.root()))?;
    run(key, Act::Return, &[&*made])
}

fn mix_two(number: u64, child: u32) -> u64 {
    mix(child, std::iter::once(number))
}

/// Whether all bytes are what they were made of.
pub(crate) fn is_whole((number, bytes): &Made) -> bool {
    bytes.chunks(8).all(|word| word == number.to_le_bytes())
}

/// The bytes of a value in words: which of them are others, and what they are.
pub(crate) fn bytes_told(made: &Made) -> String {
    let (number, bytes) = made;
    let words = bytes.chunks(8).enumerate().filter(|(_, word)| *word != number.to_le_bytes());
    let wrong: Vec<(usize, &[u8])> = words.collect();
    let which = wrong.first().map_or("none is wrong".to_owned(), |(first, word)| {
        let last = wrong[wrong.len() - 1].0;
        format!("{} words are wrong, from {first} to {last}, the first is {word:?}", wrong.len())
    });
    format!("{} bytes beside {number}: {which}", bytes.len())
}
