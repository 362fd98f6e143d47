//! The rates of the spill file, and what a decision costs: `cargo bench -p poniard-store --bench spill`.
//!
//! `MIB=2048` of noise in chunks of 64 MiB, through the writer and its two threads, against plain direct writes and
//! reads of 4 MiB by two threads in the same run. `SPILL_DIR` is the disk; the first round, which makes the file, is
//! shown apart. Then the policy: the time of an event among a thousand chunks and among a hundred thousand.

use poniard_model::TaskId;
use poniard_store::spill::*;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

const CHUNK: usize = 64 << 20;
const PIECE: usize = 4 << 20;
const THREADS: usize = 2;
const ROUNDS: usize = 3;

/// Memory that begins on a page, or `off` bytes behind.
struct Memory {
    bytes: Vec<u8>,
    start: usize,
}

impl Memory {
    fn new(off: usize) -> Memory {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut bytes = Vec::with_capacity(CHUNK + 8192);
        while bytes.len() < CHUNK + 8192 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        let start = bytes.as_ptr().align_offset(4096) + off;
        Memory { bytes, start }
    }

    fn slice(&self) -> &[u8] {
        &self.bytes[self.start..self.start + CHUNK]
    }

    fn slice_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + CHUNK]
    }
}

/// One block of memory that all writes share.
struct Source(Arc<Memory>);

impl Parts for Source {
    fn parts(&self) -> Vec<&[u8]> {
        vec![self.0.slice()]
    }
}

impl PartsMut for Memory {
    fn parts_mut(&mut self) -> Vec<&mut [u8]> {
        vec![self.slice_mut()]
    }
}

fn main() {
    let mebibytes: usize = std::env::var("MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(2048);
    let chunks = mebibytes / 64;
    let folder = std::env::var_os("SPILL_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    println!("{chunks} chunks of 64 MiB to {}, MB/s, median (min to max) of {ROUNDS}:", folder.display());
    let plain = Plain::new(&folder, chunks);
    let aligned = Spilling::new(&folder, 0);
    let odd = Spilling::new(&folder, 8);
    let mut rates: [Vec<f64>; 6] = Default::default();
    for _ in 0..=ROUNDS {
        rates[0].push(rate(chunks, || plain.write()));
        rates[1].push(rate(chunks, || plain.read()));
        for (place, spilling) in [(2, &aligned), (4, &odd)] {
            let mut stored = Vec::new();
            rates[place].push(rate(chunks, || stored = spilling.write(chunks)));
            rates[place + 1].push(rate(chunks, || spilling.read(stored)));
        }
    }
    let names = [
        "plain direct write",
        "plain direct read",
        "spill write",
        "spill read",
        "spill write, memory not aligned",
        "spill read, memory not aligned",
    ];
    for (name, rates) in names.iter().zip(&mut rates) {
        let first = rates.remove(0);
        rates.sort_by(f64::total_cmp);
        println!("{name:34} {:6.0} ({:.0} to {:.0}); first round {first:.0}", rates[1], rates[0], rates[2]);
    }
    for chunks in [1_000, 100_000] {
        decide(chunks);
    }
}

fn rate(chunks: usize, work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    (chunks * CHUNK) as f64 / began.elapsed().as_secs_f64() / 1e6
}

/// What the disk gives without any of ours.
struct Plain {
    file: File,
    path: PathBuf,
    chunks: usize,
    source: Memory,
    /// One for each thread that reads. What memory costs when it is new is not measured.
    targets: Mutex<Vec<Memory>>,
}

impl Plain {
    fn new(folder: &Path, chunks: usize) -> Plain {
        let path = folder.join(format!("poniard-bench-{}", std::process::id()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).custom_flags(libc::O_DIRECT);
        let file = options.open(&path).expect("the file system takes direct IO");
        let length = (chunks * CHUNK) as libc::off_t;
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        // SAFETY: the file is open, and the call touches no memory of ours.
        let result = unsafe { libc::fallocate(number, 0, 0, length) };
        assert_eq!(result, 0, "the disk has room");
        let targets = Mutex::new((0..THREADS).map(|_| Memory::new(0)).collect());
        Plain { file, path, chunks, source: Memory::new(0), targets }
    }

    fn write(&self) {
        self.on_two_threads(|offset| {
            let place = offset as usize % CHUNK;
            self.file
                .write_all_at(&self.source.slice()[place..place + PIECE], offset)
                .expect("it is written");
        });
    }

    fn read(&self) {
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    let mut memory = self.targets.lock().expect("nobody panics").pop().expect("one for each");
                    for chunk in (thread..self.chunks).step_by(THREADS) {
                        for place in (0..CHUNK).step_by(PIECE) {
                            let target = &mut memory.slice_mut()[place..place + PIECE];
                            self.file
                                .read_exact_at(target, (chunk * CHUNK + place) as u64)
                                .expect("it is read");
                        }
                    }
                    self.targets.lock().expect("nobody panics").push(memory);
                });
            }
        });
    }

    fn on_two_threads(&self, piece: impl Fn(u64) + Sync) {
        let piece = &piece;
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    for chunk in (thread..self.chunks).step_by(THREADS) {
                        (0..CHUNK).step_by(PIECE).for_each(|place| piece((chunk * CHUNK + place) as u64));
                    }
                });
            }
        });
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The spill file and its writer.
struct Spilling {
    writer: Writer<Source, Memory>,
    ended: Receiver<Completion<Source, Memory>>,
    source: Arc<Memory>,
    /// As many as are read ahead.
    targets: Mutex<Vec<Memory>>,
}

impl Spilling {
    fn new(folder: &Path, off: usize) -> Spilling {
        let options = FileOptions { folder: folder.to_owned(), ..FileOptions::default() };
        let file = SpillFile::create(options).expect("the directory can be spilled to");
        let (send, ended) = channel();
        let writer = Writer::new(file, 256, move |completion| drop(send.send(completion)));
        let targets = Mutex::new((0..3).map(|_| Memory::new(off)).collect());
        Spilling { writer, ended, source: Arc::new(Memory::new(off)), targets }
    }

    fn write(&self, chunks: usize) -> Vec<(ChunkId, Stored)> {
        for chunk in 0..chunks as u64 {
            let memory = Source(self.source.clone());
            self.writer
                .submit(Transfer::Write { chunk: ChunkId(chunk), memory })
                .expect("the queue has room");
        }
        let stored = |completion| match completion {
            Completion::Write { chunk, outcome: Outcome::Done(stored), .. } => (chunk, stored),
            _ => panic!("a write failed"),
        };
        self.ended.iter().take(chunks).map(stored).collect()
    }

    fn read(&self, stored: Vec<(ChunkId, Stored)>) {
        let mut targets = self.targets.lock().expect("nobody panics");
        let mut stored = stored.into_iter();
        let mut under_way = 0;
        loop {
            while !targets.is_empty() && stored.len() > 0 {
                let (memory, (chunk, stored)) = targets.pop().zip(stored.next()).expect("there are both");
                let transfer = Transfer::Read { chunk, stored, memory, haste: Haste::Ahead };
                self.writer.submit(transfer).expect("the queue has room");
                under_way += 1;
            }
            if under_way == 0 {
                return;
            }
            match self.ended.recv().expect("the writer lives") {
                Completion::Read { memory, outcome: Outcome::Done(()), .. } => targets.push(memory),
                _ => panic!("a read failed"),
            }
            under_way -= 1;
        }
    }
}

/// Two phases over so many chunks under a quarter of their bytes: the time of one event.
fn decide(chunks: u64) {
    let (mut policy, mut out, mut events) = (None, Vec::new(), 0_u64);
    let policy: &mut Policy =
        policy.insert(Policy::new(Limits { budget: chunks / 4 * 4096, ..Limits::default() }));
    let began = Instant::now();
    let mut tell = |policy: &mut Policy, event: Event| {
        let mut waiting = vec![event];
        while let Some(event) = waiting.pop() {
            events += 1;
            policy.on(event, &mut out);
            for action in out.drain(..) {
                match action {
                    Action::Write(chunk) => {
                        waiting.push(Event::WriteEnded { chunk, outcome: Written::Stored(4096) });
                    }
                    Action::Read(chunk, _) => waiting.push(Event::ReadEnded { chunk, outcome: Ok(()) }),
                    _ => {}
                }
            }
        }
    };
    for task in 0..2 * chunks {
        let inputs = if task < chunks { Vec::new() } else { vec![ChunkId(task - chunks)] };
        tell(policy, Event::Submitted { task: TaskId(task), inputs, result: 4096 });
    }
    for task in (0..2 * chunks).map(TaskId) {
        tell(policy, Event::Asked(task, Lane::Processor));
        let (chunk, spill) = (ChunkId(task.0), Spill::Allowed);
        let made = Made { chunk, bytes: 4096, spill, is_held: false, is_remote: false };
        tell(policy, Event::Ended { task, result: Some(made) });
    }
    let each = began.elapsed().as_nanos() as f64 / events as f64;
    println!("policy: {each:.0} ns an event among {} chunks", 2 * chunks);
}
