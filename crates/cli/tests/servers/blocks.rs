//! Large values between workers of different hosts: over lines of their own, from the worker that has them to the one that reads them.
//!
//! Two workers of this machine are two hosts when they have different names (`PONIARD_NODE`).

use super::stage::*;
use poniard::prelude::*;
use poniard::{Order, Tile, traffic};
use std::path::Path;

pub(crate) const MIB: usize = 1 << 20;

/// Numbers that depend on where they are.
pub(crate) fn made(megabytes: usize) -> Tile<u64> {
    let len = megabytes * MIB / 8;
    let numbers = (0..len as u64).map(|place| place.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    Tile::from_vec(numbers, &[len], Order::Col).unwrap()
}

/// Something that depends on all of them, and where they are.
pub(crate) fn sum(block: &Tile<u64>) -> u64 {
    let numbers = block.as_slice(Order::Col).unwrap();
    numbers.iter().fold(0_u64, |sum, number| sum.rotate_left(5) ^ number)
}

/// On worker 2: a block of its own, read by five tasks on worker 3 at once. Gives what they have read, what is right, and how many
/// bytes have left by lines and by messages.
fn five_readers(megabytes: usize) -> (Vec<u64>, u64, u64, u64) {
    let before = traffic();
    let block = spawn!(made(megabytes), scope = Scope::worker(2));
    let readers: Vec<_> = (0..5).map(|_| spawn!(sum(&block), scope = Scope::worker(3))).collect();
    let read = fetch_all(&readers).unwrap();
    let after = traffic();
    let right = sum(&block.fetch_ref().unwrap());
    (read, right, after.streamed_bytes - before.streamed_bytes, after.copied_bytes - before.copied_bytes)
}

/// A block goes from worker 2 to worker 3; what comes of it.
pub(crate) fn by_a_line(megabytes: usize) -> String {
    let tasks = spawn!(five_readers(megabytes), scope = Scope::worker(2));
    let (read, right, streamed, copied) = tasks.fetch().unwrap();
    let is_right = read.iter().all(|read| *read == right);
    let by_lines = streamed as usize / MIB;
    assert!(by_lines == 0 || copied < MIB as u64, "{copied} bytes went by messages");
    format!("{}: {} readers, {by_lines} MiB by lines", if is_right { "right" } else { "wrong" }, read.len())
}

fn counted_sum(file: String, block: &Tile<u64>) -> u64 {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(b"read\n").unwrap();
    sum(block)
}

/// On worker 2: so many blocks, one after another, each read once on worker 3. Gives how many were read right.
fn read_one_after_another(count: usize, file: String) -> usize {
    let is_right = |_: &usize| {
        let block = spawn!(made(64), scope = Scope::worker(2));
        let read = spawn!(counted_sum(file.clone(), &block), scope = Scope::worker(3));
        read.fetch().unwrap() == sum(&block.fetch_ref().unwrap())
    };
    (0..count).filter(is_right).count()
}

pub(crate) fn one_after_another(count: usize) -> String {
    let file = std::env::var("PONIARD_TEST_COUNT").unwrap();
    let right = spawn!(read_one_after_another(count, file), scope = Scope::worker(2)).fetch().unwrap();
    format!("right: {right} blocks")
}

pub(crate) fn made_and_told(file: String, megabytes: usize) -> Tile<u64> {
    let block = made(megabytes);
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(format!("{}\n", std::process::id()).as_bytes()).unwrap();
    block
}

/// A block is made on some other worker, and comes here.
pub(crate) fn home(megabytes: usize) -> String {
    let file = std::env::var("PONIARD_TEST_COUNT").unwrap();
    let block = spawn!(made_and_told(file, megabytes), scope = !Scope::worker(1));
    let is_right = sum(&block.fetch_ref().unwrap()) == sum(&made(megabytes));
    if is_right { "right".to_owned() } else { "wrong".to_owned() }
}

/// Worker 1 and two others, each a host of its own to the others; this is the environment of worker 1.
pub(crate) fn hosts(file: &Path, listen: &str, environment: &[(&str, &str)]) -> (Process, Vec<Process>) {
    hosts_with(file, listen, environment, &[])
}

/// The same, with the environment of the others.
pub(crate) fn hosts_with(
    file: &Path,
    listen: &str,
    environment: &[(&str, &str)],
    of_others: &[(&str, &str)],
) -> (Process, Vec<Process>) {
    let mut command = first(file, listen, "2");
    command.env("PONIARD_NODE", "one").envs(environment.iter().copied());
    let mut app = Process::start(command);
    let other = |name: &&str| {
        let mut command = worker(file);
        command.env("PONIARD_NODE", name).envs(of_others.iter().copied());
        Process::start(command)
    };
    let others = ["two", "three"].iter().map(other).collect();
    assert_eq!(app.says(), "begins with 1 2 3");
    (app, others)
}

/// Ends the cluster: nobody has anything to complain of.
pub(crate) fn end_well(mut app: Process, mut others: Vec<Process>) {
    assert_eq!(app.ask("end"), "ended");
    for other in &mut others {
        assert!(other.end().success(), "{:?}", other.complaints());
        assert_eq!(other.complaints(), [""; 0]);
    }
}

#[test]
fn a_block_goes_from_worker_to_worker_once_for_all_who_read_it() {
    for listen in ["tcp://127.0.0.1:0", "tls://127.0.0.1:0"] {
        let folder = Folder::new();
        let (mut app, others) = hosts(&folder.path("connection"), listen, &[]);
        // Nobody listens but on this machine.
        for process in app.ask("processes").split(' ') {
            let listens = listens_at(process.parse().unwrap());
            assert!(listens.iter().all(|address| address == LOOPBACK), "{listens:?}");
        }
        assert_eq!(app.ask("block 64"), "right: 5 readers, 64 MiB by lines", "{listen}");
        app.ask("work 20");
        end_well(app, others);
    }
}

#[test]
fn f01_a_block_whose_maker_is_killed_on_its_way_home_is_made_again() {
    let folder = Folder::new();
    let count = folder.path("count");
    let (mut app, mut others) =
        hosts(&folder.path("connection"), "tcp://127.0.0.1:0", &[("PONIARD_TEST_COUNT", text(&count))]);
    app.tell("home 256");
    let maker =
        || std::fs::read_to_string(&count).ok().and_then(|text| text.lines().next()?.parse::<u32>().ok());
    until("it is made", || maker().is_some());
    let maker = maker().unwrap();
    let killed = others.iter().position(|other| other.id() == maker).expect("it is a worker of ours");
    others[killed].kill();
    assert_eq!(app.says(), "right");
    assert_eq!(app.ask("until 2").split(' ').count(), 2);
    app.ask("work 20");
}
