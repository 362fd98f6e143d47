//! Large results between hosts stay with the workers that made them; what was lost with one is made again.
//!
//! Two workers of this machine are two hosts when they have different names (`PONIARD_NODE`).

use super::blocks::{MIB, end_well, hosts, hosts_with, made, made_and_told, sum};
use super::chance::Random;
use super::stage::*;
use poniard::prelude::*;
use poniard::{Options, Order, Storage, Tile, Traffic, memory_usage, traffic, with_options};
use std::path::Path;
use std::sync::Mutex;

fn sum_here(block: &Tile<u64>) -> (u64, u32) {
    (sum(block), my_id().0)
}

fn sum_of_its(block: Vec<DTask<Tile<u64>>>) -> u64 {
    sum(&block[0].fetch_ref().unwrap())
}

/// Bytes of large results that a worker has in memory and on disk, and that it has written.
#[derive(Clone, Copy)]
struct Usage {
    resident: u64,
    stored: u64,
    written: u64,
}

fn usage_of(worker: u32) -> Usage {
    fn usage() -> [u64; 3] {
        let usage = memory_usage();
        [usage.resident_bytes, usage.stored_bytes, usage.written_bytes]
    }
    let [resident, stored, written] = spawn!(usage(), scope = Scope::worker(worker)).fetch().unwrap();
    Usage { resident, stored, written }
}

fn sent_by(worker: u32) -> u64 {
    fn sent() -> u64 {
        let Traffic { copied_bytes, streamed_bytes, .. } = traffic();
        copied_bytes + streamed_bytes
    }
    let sent_there = spawn!(sent(), scope = Scope::worker(worker));
    sent_there.fetch().unwrap() / MIB as u64
}

/// A block that worker 2 makes for worker 1, and all who read it.
pub(crate) fn rests(megabytes: usize) -> String {
    let right = sum(&made(megabytes));
    let block = spawn!(made(megabytes), scope = Scope::worker(2));
    block.wait();
    assert_eq!(memory_usage().resident_bytes, 0, "it is not here");
    // Nothing says where this runs: it goes there. (Of several some may go elsewhere, if the scheduler thinks that they would wait for each
    // other for longer than the block takes to come.)
    assert_eq!(spawn!(sum_here(&block)).fetch().unwrap(), (right, 2));
    let moved = vec![sent_by(2)];
    let readers: Vec<_> = (0..5).map(|_| spawn!(sum_here(&block), scope = Scope::worker(3))).collect();
    assert_eq!(fetch_all(&readers).unwrap(), vec![(right, 3); 5]);
    let moved = [moved, vec![sent_by(2)]].concat();
    // A handle inside a value.
    let reader = spawn!(sum_of_its(vec![block.clone()]), scope = Scope::worker(3));
    assert_eq!(reader.fetch().unwrap(), right);
    let moved = [moved, vec![sent_by(2)]].concat();
    assert_eq!(memory_usage().resident_bytes, 0, "it is not here yet");
    assert_eq!(sum(&block.fetch_ref().unwrap()), right);
    let moved = [moved, vec![sent_by(2)]].concat();
    assert!(memory_usage().resident_bytes > 0, "and now it is");
    until("nothing of it is left there", || usage_of(2).resident == 0);
    let here = spawn!(sum_here(&block), scope = Scope::worker(3));
    assert_eq!(here.fetch().unwrap(), (right, 3));
    drop((block, here, readers, reader));
    until("it is gone", || memory_usage().resident_bytes == 0);
    // Where it is to be kept is this process's word.
    let kept = spawn!(made(1), scope = Scope::worker(2), storage = Storage::Memory);
    kept.wait();
    assert!(memory_usage().resident_bytes > 0, "it came here at once");
    format!("right, {moved:?} MiB left there")
}

static KEPT: Mutex<Vec<DTask<Tile<u64>>>> = Mutex::new(Vec::new());

fn one_more(block: &Tile<u64>) -> Tile<u64> {
    let numbers = block.as_slice(Order::Col).unwrap().iter().map(|number| number + 1).collect();
    Tile::from_vec(numbers, block.shape(), Order::Col).unwrap()
}

/// A block of 8 MiB on another worker, and one that is made of it, there too. The first one comes here, or its handle is dropped.
/// Gives the process that has made them.
pub(crate) fn keep(is_first_here: bool) -> String {
    let file = std::env::var("PONIARD_TEST_COUNT").unwrap();
    let first = spawn!(made_and_told(file.clone(), 8), scope = !Scope::worker(1));
    let second = spawn!(one_more(&first));
    second.wait();
    assert_eq!(memory_usage().resident_bytes, 0);
    if is_first_here {
        assert_eq!(sum(&first.fetch_ref().unwrap()), sum(&made(8)));
        KEPT.lock().unwrap().push(first);
    }
    KEPT.lock().unwrap().push(second);
    std::fs::read_to_string(file).unwrap().lines().last().unwrap().to_owned()
}

/// What a fetch of it says.
pub(crate) fn look() -> String {
    let block = KEPT.lock().unwrap().last().unwrap().clone();
    let looked = block.fetch_ref();
    looked.map_or_else(|error| error.to_string(), |block| format!("{} elements", block.len()))
}

/// What a worker reads of it.
pub(crate) fn kept(reader: u32) -> String {
    let block = KEPT.lock().unwrap().last().unwrap().clone();
    let right = sum(&one_more(&made(8)));
    match spawn!(sum_here(&block), scope = Scope::worker(reader)).fetch() {
        Ok((sum, _)) if sum == right => "right".to_owned(),
        Ok(_) => "wrong".to_owned(),
        Err(error) => error.to_string().replace('\n', " "),
    }
}

/// A chain of blocks of 1 MiB that nobody but the last one has a handle of.
pub(crate) fn chain(steps: usize) -> String {
    let sent = traffic().streamed_bytes;
    let mut block = spawn!(made(1), scope = Scope::worker(2));
    for step in 0..steps {
        let worker = 2 + (step % 10 / 9) as u32;
        block = spawn!(one_more(&block), scope = Scope::worker(worker));
    }
    block.wait();
    let here = memory_usage().resident_bytes as usize / MIB;
    // About so many.
    let there = || (usage_of(2).resident + usage_of(3).resident).div_ceil(MIB as u64);
    until("one of them is left", || there() == 1);
    let block = block.fetch_ref().unwrap();
    let first = made(1);
    let is_right = block.as_slice(Order::Col).unwrap().iter().zip(first.as_slice(Order::Col).unwrap());
    let is_right = is_right.map(|(last, first)| last.wrapping_sub(*first)).all(|more| more == steps as u64);
    let sent = (traffic().streamed_bytes - sent) as usize / MIB;
    format!("{}, {sent} MiB from here, {here} here", if is_right { "right" } else { "wrong" })
}

/// Blocks of 32 MiB on worker 2, more than it has memory for, read there and on worker 3.
pub(crate) fn many(count: usize) -> String {
    let blocks: Vec<_> = (0..count).map(|_| spawn!(made(32), scope = Scope::worker(2))).collect();
    wait_all(&blocks);
    let written = usage_of(2).written as usize / MIB;
    assert!(written > 0, "they do not all fit");
    let read = |worker: u32| {
        let sums: Vec<_> =
            blocks.iter().map(|block| spawn!(sum(block), scope = Scope::worker(worker))).collect();
        fetch_all(&sums).unwrap()
    };
    let right = vec![sum(&made(32)); count];
    assert_eq!((read(2), read(3)), (right.clone(), right));
    assert_eq!(memory_usage().resident_bytes, 0);
    drop(blocks);
    until("nothing of them is left there", || usage_of(2).resident + usage_of(2).stored == 0);
    "right".to_owned()
}

/// How many blocks each other worker has to make of those that worker 1 could make.
const SHARE: usize = 15;

/// Blocks that nobody says where to make, and tasks that read them. On worker 1 each lasts until the others have made their shares.
pub(crate) fn spread(count: usize) -> String {
    fn shared(number: u64, file: String) -> Tile<u64> {
        let me = my_id().0 as u8;
        let of = |worker: u8| {
            let made = std::fs::read(&file).unwrap();
            made.iter().filter(|maker| **maker == worker).count()
        };
        if me == 1 {
            until("each other worker has made its share", || of(2) >= SHARE && of(3) >= SHARE);
        } else {
            let mut file = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
            std::io::Write::write_all(&mut file, &[me]).unwrap();
        }
        let numbers = std::iter::once(u64::from(me)).chain(std::iter::repeat_n(number, MIB / 8 - 1));
        Tile::from_vec(numbers.collect(), &[MIB / 8], Order::Col).unwrap()
    }
    fn ends(block: &Tile<u64>) -> (u64, u64) {
        let numbers = block.as_slice(Order::Col).unwrap();
        (numbers[0], numbers[numbers.len() - 1])
    }
    let file = std::env::var("PONIARD_TEST_COUNT").unwrap();
    std::fs::write(&file, "").unwrap();
    let blocks: Vec<_> = (0..count as u64).map(|number| spawn!(shared(number, file.clone()))).collect();
    let read: Vec<_> = blocks.iter().map(|block| spawn!(ends(block))).collect();
    let read = fetch_all(&read).unwrap();
    assert!(read.iter().map(|(_, number)| *number).eq(0..count as u64));
    let made = [1, 2, 3].map(|worker| read.iter().filter(|(maker, _)| *maker == worker).count());
    let is_spread = made[1..].iter().all(|made| *made >= SHARE);
    if is_spread { "right".to_owned() } else { format!("{made:?}") }
}

/// Numbers of a block of 128 KiB in a storm.
const STORM_LEN: usize = 16 << 10;

/// A block that is known by one number.
fn known_by(number: u64) -> Tile<u64> {
    let numbers = (0..STORM_LEN as u64).map(|place| number.wrapping_add(place)).collect();
    Tile::from_vec(numbers, &[STORM_LEN], Order::Col).unwrap()
}

/// The number, if the block is whole.
fn number_of(block: &Tile<u64>) -> u64 {
    let numbers = block.as_slice(Order::Col).unwrap();
    let is_whole = (0_u64..).zip(numbers).all(|(place, number)| *number == numbers[0].wrapping_add(place));
    assert!(is_whole && numbers.len() == STORM_LEN);
    numbers[0]
}

fn both(left: u64, right: u64) -> u64 {
    left.wrapping_mul(31).wrapping_add(right)
}

fn made_of(left: &Tile<u64>, right: &Tile<u64>) -> Tile<u64> {
    known_by(both(number_of(left), number_of(right)))
}

/// So many blocks, each made of two earlier ones, here and there, whose handles are dropped, and values fetched, by chance. Half of them are
/// spawned when the file is there.
pub(crate) fn storm(seed: i32) -> String {
    let mut chance = Random::of(seed as u64);
    let mut blocks: Vec<(u64, DTask<Tile<u64>>)> = Vec::new();
    for step in 0..300 {
        let options = match chance.below(6) {
            0 => Options::new().scope(Scope::worker(1)),
            1 | 2 => Options::new().scope(!Scope::worker(1)),
            _ => Options::new(),
        };
        let next = if blocks.len() < 4 || chance.one_in(12) {
            let number = chance.number();
            (number, with_options(options, || spawn!(known_by(number))))
        } else {
            let ((left, a), (right, b)) =
                (&blocks[chance.below(blocks.len())], &blocks[chance.below(blocks.len())]);
            (both(*left, *right), with_options(options, || spawn!(made_of(a, b))))
        };
        blocks.push(next);
        while blocks.len() > 24 {
            blocks.swap_remove(chance.below(blocks.len()));
        }
        if chance.one_in(20) {
            let (number, block) = &blocks[chance.below(blocks.len())];
            assert_eq!(number_of(&block.fetch_ref().unwrap()), *number);
        }
        if step == 150 {
            std::fs::write(std::env::var("PONIARD_TEST_COUNT").unwrap(), "").unwrap();
        }
    }
    let is_right =
        |(number, block): &(u64, DTask<Tile<u64>>)| number_of(&block.fetch_ref().unwrap()) == *number;
    assert!(blocks.iter().all(is_right));
    drop(blocks);
    until("nothing is left", || memory_usage().resident_bytes + memory_usage().stored_bytes == 0);
    "right".to_owned()
}

/// What worker 3 reads of a block of worker 2, whose processor has something else to do until it has been read.
pub(crate) fn busy() -> String {
    fn lasts(until: String) {
        let begin = std::time::Instant::now();
        while !Path::new(&until).exists() && begin.elapsed() < LIMIT {
            std::thread::yield_now();
        }
    }
    let file = std::env::var("PONIARD_TEST_COUNT").unwrap();
    let block = spawn!(made(4), scope = Scope::worker(2));
    block.wait();
    let other = spawn!(lasts(file.clone()), scope = Scope::worker(2));
    let read = spawn!(sum_here(&block), scope = Scope::worker(3)).fetch().unwrap();
    assert!(!other.is_ready(), "it waits for that");
    std::fs::write(file, "").unwrap();
    other.fetch().unwrap();
    if read == (sum(&made(4)), 3) { "right".to_owned() } else { "wrong".to_owned() }
}

fn counted(folder: &Folder) -> std::path::PathBuf {
    folder.path("count")
}

fn lines_of(file: &Path) -> usize {
    std::fs::read_to_string(file).unwrap().lines().count()
}

/// The other worker that is left.
fn left(app: &mut Process) -> u32 {
    app.ask("until 2").split(' ').next_back().unwrap().parse().unwrap()
}

#[test]
fn a_large_result_stays_on_its_host_and_tasks_go_to_it() {
    let folder = Folder::new();
    let (mut app, others) = hosts(&folder.path("connection"), "tcp://127.0.0.1:0", &[]);
    // Nothing for those who read it there, once for each other worker that reads it, at a time or later.
    assert_eq!(app.ask("rests 64"), "right, [0, 64, 128, 192] MiB left there");
    app.ask("work 20");
    end_well(app, others);
}

#[test]
fn tasks_that_make_large_results_spread_over_hosts() {
    let folder = Folder::new();
    let count = counted(&folder);
    let environment = [("PONIARD_TEST_COUNT", text(&count))];
    let (mut app, _others) = hosts(&folder.path("connection"), "tcp://127.0.0.1:0", &environment);
    assert_eq!(app.ask("spread 150"), "right");
}

#[test]
fn a_result_is_read_elsewhere_while_its_maker_has_something_else_to_do() {
    let folder = Folder::new();
    let file = folder.path("file");
    let environment = [("PONIARD_TEST_COUNT", text(&file))];
    let (mut app, _others) = hosts(&folder.path("connection"), "tcp://127.0.0.1:0", &environment);
    assert_eq!(app.ask("busy"), "right");
}

#[test]
fn a_chain_of_large_results_leaves_nothing_behind_and_passes_its_owner_once() {
    let folder = Folder::new();
    let (mut app, _others) = hosts(&folder.path("connection"), "tcp://127.0.0.1:0", &[]);
    assert_eq!(app.ask("chain 100"), "right, 0 MiB from here, 0 here");
}

#[test]
fn results_that_stay_go_to_the_disk_of_their_maker_and_are_freed_there() {
    let folder = Folder::new();
    let memory = [("PONIARD_MEMORY", "256MiB")];
    let (mut app, _others) = hosts_with(&folder.path("connection"), "tcp://127.0.0.1:0", &[], &memory);
    assert_eq!(app.ask("many 12"), "right");
}

/// The place of a process among these.
fn place(process: &str, others: &[Process]) -> usize {
    others.iter().position(|other| other.id().to_string() == process).expect("it is a worker of ours")
}

#[test]
fn f01_what_was_lost_with_its_maker_is_made_again_with_what_it_was_made_of() {
    let folder = Folder::new();
    let count = counted(&folder);
    let environment = [("PONIARD_TEST_COUNT", text(&count))];
    for readers in [[1, 2], [2, 1]] {
        let (mut app, mut others) = hosts(&folder.path("connection"), "tcp://127.0.0.1:0", &environment);
        let maker = app.ask("keep");
        let before = lines_of(&count);
        let killed = place(&maker, &others);
        others[killed].kill();
        for reader in readers {
            let reader = if reader == 1 { 1 } else { left(&mut app) };
            assert_eq!(app.ask(&format!("kept {reader}")), "right");
        }
        assert_eq!(lines_of(&count), before + 1, "what it was made of was made once more");
        app.ask("work 20");
        assert_eq!(app.ask("end"), "ended");
    }
}

#[test]
fn f01_blocks_that_come_and_go_on_three_hosts_are_right_though_one_is_killed() {
    for seed in 1..=4 {
        let folder = Folder::new();
        let file = folder.path("half");
        let environment = [("PONIARD_TEST_COUNT", text(&file))];
        let (mut app, mut others) = hosts(&folder.path("connection"), "tcp://127.0.0.1:0", &environment);
        app.tell(&format!("storm {seed}"));
        until("half of it is spawned", || file.exists());
        if seed != 1 {
            others[seed % 2].kill();
        }
        assert_eq!(app.says(), "right", "seed {seed}");
        assert_eq!(app.ask("end"), "ended");
    }
}

#[test]
fn f01_what_was_lost_with_the_last_other_worker_is_made_again_here() {
    let folder = Folder::new();
    let count = counted(&folder);
    let environment = [("PONIARD_TEST_COUNT", text(&count))];
    let (mut app, mut others) = hosts(&folder.path("connection"), "tcp://127.0.0.1:0", &environment);
    app.ask("keephome");
    others.iter_mut().for_each(Process::kill);
    assert_eq!(app.ask("until 1"), "1");
    assert_eq!(app.ask("kept 1"), "right");
    assert_eq!(lines_of(&count), 1, "what it is made of is here");
}

#[test]
fn a_worker_that_is_removed_gives_its_results_to_their_owner() {
    let folder = Folder::new();
    let count = counted(&folder);
    let environment = [("PONIARD_TEST_COUNT", text(&count))];
    let (mut app, mut others) = hosts(&folder.path("connection"), "tcp://127.0.0.1:0", &environment);
    let maker = app.ask("keep");
    let removed = place(&maker, &others);
    let processes = app.ask("processes");
    let number = 1 + processes.split(' ').position(|process| process == maker).unwrap();
    assert_eq!(app.ask(&format!("remove {number}")), "removed");
    assert!(others[removed].end().success(), "{:?}", others[removed].complaints());
    let reader = left(&mut app);
    for reader in [reader, 1] {
        assert_eq!(app.ask(&format!("kept {reader}")), "right");
    }
    assert_eq!(lines_of(&count), 1, "nothing is made again");
}

#[test]
fn what_rests_elsewhere_ends_with_the_cluster_and_a_fetch_says_so() {
    let folder = Folder::new();
    let count = counted(&folder);
    let environment = [("PONIARD_TEST_COUNT", text(&count))];
    let (mut app, mut others) = hosts(&folder.path("connection"), "tcp://127.0.0.1:0", &environment);
    app.ask("keep");
    assert_eq!(app.ask("end"), "ended");
    others.iter_mut().for_each(|other| assert!(other.end().success(), "{:?}", other.complaints()));
    // At once: nothing is started for it.
    let said = app.ask("look");
    let why =
        "the cluster was stopped, and it was with a worker: fetch it, or wait for what uses it, before that";
    assert!(said.starts_with("task `bring back`") && said.ends_with(why), "{said}");
}
