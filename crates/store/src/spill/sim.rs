//! The simulator: block traces through the policy, counted, beside the caches that it is compared with.
//!
//! A trace is a program of tasks over blocks of one size. `X` is made, then `Y = f(X)`, then `sum(Y)`; "keep" means
//! that the user still holds both, "drop" that each goes with its last use. Transfers are synchronous here and nothing
//! is written behind or read ahead unless a test says so, which makes the policy Belady's rule with early drop.

use super::*;
use poniard_model::TaskId;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};

mod engine;
mod orders;
mod remade;
mod table;

/// One task of a trace.
#[derive(Clone, Debug, Default)]
struct Step {
    reads: Vec<u64>,
    makes: Option<u64>,
    /// What the user lets go of when the task is submitted.
    drops: Vec<u64>,
}

/// Blocks moved to disk and back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Moved {
    written: u64,
    read: u64,
    /// Made again instead.
    remade: u64,
}

impl Moved {
    fn total(self) -> u64 {
        self.written + self.read
    }
}

/// What is held when the trace ends.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Held {
    Keep,
    Drop,
}

fn make(x: u64) -> Step {
    Step { makes: Some(x), ..Step::default() }
}

fn step(reads: u64, makes: Option<u64>, held: Held) -> Step {
    let drops = if held == Held::Drop { vec![reads] } else { Vec::new() };
    Step { reads: vec![reads], makes, drops }
}

/// All X, then all Y in `order`, then the sums.
fn phases(blocks: u64, order: impl Iterator<Item = u64>, held: Held) -> Vec<Step> {
    let xs = (0..blocks).map(make);
    let ys = order.map(|i| step(i, Some(blocks + i), held));
    let sums = (0..blocks).map(|i| step(blocks + i, None, held));
    xs.chain(ys).chain(sums).collect()
}

fn depth_first(blocks: u64, held: Held) -> Vec<Step> {
    let one = |i| [make(i), step(i, Some(blocks + i), held), step(blocks + i, None, held)];
    (0..blocks).flat_map(one).collect()
}

/// X is made, then read through so many times from its beginning.
fn scans(blocks: u64, passes: usize) -> Vec<Step> {
    let scan = (0..blocks).map(|i| step(i, None, Held::Keep));
    (0..blocks).map(make).chain((0..passes).flat_map(|_| scan.clone())).collect()
}

/// How the caches that know nothing of the future choose.
#[derive(Clone, Copy, Debug)]
enum Cache {
    LeastRecent,
    /// Least recent, about: a hand goes round and takes the first block that was not used since it came by (Corbató, "A paging
    /// experiment with the Multics system", 1968).
    Clock,
    MostRecent,
}

/// The blocks in memory as the hand will come by, and whether each was used since it did.
#[derive(Debug, Default)]
struct Clock {
    blocks: VecDeque<(u64, bool)>,
}

impl Clock {
    fn use_all(&mut self, used: &[u64]) {
        self.blocks.iter_mut().for_each(|(block, is_used)| *is_used |= used.contains(block));
    }

    /// Takes out the block that leaves.
    fn take(&mut self, in_use: &[u64]) -> u64 {
        loop {
            let (block, is_used) = self.blocks.pop_front().expect("the room is larger than a task");
            if !is_used && !in_use.contains(&block) {
                return block;
            }
            self.blocks.push_back((block, false));
        }
    }
}

/// A write-back cache of `room` blocks: clean blocks leave for nothing, dropped ones too.
fn run_cache(trace: &[Step], room: usize, cache: Cache) -> Moved {
    let mut moved = Moved::default();
    let mut clock = Clock::default();
    let mut held: HashMap<u64, usize> = HashMap::new();
    let mut on_disk: BTreeSet<u64> = BTreeSet::new();
    for (now, step) in trace.iter().enumerate() {
        let in_use: Vec<u64> = step.reads.iter().copied().chain(step.makes).collect();
        for &block in &in_use {
            if held.contains_key(&block) {
                continue;
            }
            while held.len() >= room {
                let idle = held.iter().filter(|(block, _)| !in_use.contains(block));
                // Of two that were touched by one task, the older block goes, as in the simulator before this one.
                let victim = match cache {
                    Cache::LeastRecent => idle.min_by_key(|(block, at)| (**at, **block)),
                    Cache::MostRecent => idle.max_by_key(|(block, at)| (**at, Reverse(**block))),
                    Cache::Clock => held.get_key_value(&clock.take(&in_use)),
                };
                let victim = *victim.expect("the room is larger than a task").0;
                held.remove(&victim);
                moved.written += u64::from(on_disk.insert(victim));
            }
            moved.read += u64::from(on_disk.contains(&block));
            held.insert(block, now);
            clock.blocks.push_back((block, false));
        }
        clock.use_all(&in_use);
        held.extend(in_use.iter().map(|block| (*block, now)));
        for block in &step.drops {
            held.remove(block);
            on_disk.remove(block);
            clock.blocks.retain(|(other, _)| other != block);
        }
    }
    moved
}

/// The bytes of a block: small, for the policy does not care.
const BLOCK: u64 = 1 << 20;

/// The policy, with an engine around it that does what it says at once.
#[derive(Debug)]
struct Machine {
    policy: Policy,
    moved: Moved,
    peak: u64,
    admitted: Vec<TaskId>,
    /// What becomes of results.
    spill: Spill,
    /// What each block was made of.
    lineage: HashMap<ChunkId, Vec<ChunkId>>,
    /// The tasks that make blocks again.
    remakes: HashMap<TaskId, ChunkId>,
}

impl Machine {
    fn new(limits: Limits) -> Machine {
        Machine {
            policy: Policy::new(limits),
            moved: Moved::default(),
            peak: 0,
            admitted: Vec::new(),
            spill: Spill::Allowed,
            lineage: HashMap::new(),
            remakes: HashMap::new(),
        }
    }

    /// Tells the policy, and does what it answers until it is content.
    fn tell(&mut self, event: Event) {
        let mut events = std::collections::VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut actions = Vec::new();
            self.policy.on(event, &mut actions);
            self.policy.check();
            self.peak = self.peak.max(self.policy.used());
            for action in actions {
                match action {
                    Action::Write(chunk) => {
                        self.moved.written += 1;
                        events.push_back(Event::WriteEnded { chunk, outcome: Written::Stored(BLOCK) });
                    }
                    Action::Read(chunk, _) => {
                        self.moved.read += 1;
                        events.push_back(Event::ReadEnded { chunk, outcome: Ok(()) });
                    }
                    Action::Remake(chunk) => {
                        self.moved.remade += 1;
                        // After all tasks of the trace.
                        let task = TaskId((1 << 32) + self.moved.remade);
                        self.remakes.insert(task, chunk);
                        let inputs = self.lineage[&chunk].clone();
                        events.push_back(Event::Submitted { task, inputs, result: 0 });
                        events.push_back(Event::AskedAgain(task, chunk));
                    }
                    Action::Admit(task) => match self.remakes.remove(&task) {
                        Some(chunk) => {
                            events.push_back(Event::Remade { chunk, outcome: Remade::Made(BLOCK) });
                            events.push_back(Event::Ended { task, result: None });
                        }
                        None => self.admitted.push(task),
                    },
                    Action::Fail(task, why) => panic!("{task} {why}"),
                    _ => {}
                }
            }
        }
    }

    fn submit(&mut self, task: TaskId, step: &Step) {
        let inputs = step.reads.iter().copied().map(ChunkId).collect();
        let result = if step.makes.is_some() { BLOCK } else { 0 };
        self.tell(Event::Submitted { task, inputs, result });
        step.drops.iter().for_each(|chunk| self.tell(Event::Released(ChunkId(*chunk))));
    }

    fn run(&mut self, task: TaskId, step: &Step) {
        self.tell(Event::Asked(task, Lane::Processor));
        assert_eq!(self.admitted, [task]);
        self.admitted.clear();
        let made = |chunk| Made {
            chunk: ChunkId(chunk),
            bytes: BLOCK,
            spill: self.spill,
            is_held: false,
            is_remote: false,
        };
        if let Some(makes) = step.makes {
            let lineage = step.reads.iter().copied().map(ChunkId);
            self.lineage.insert(ChunkId(makes), lineage.collect());
        }
        self.tell(Event::Ended { task, result: step.makes.map(made) });
    }
}

/// Submits the whole trace, then runs it in the order given.
fn run_policy(trace: &[Step], room: u64, window: u64) -> Moved {
    let mut machine = Machine::new(Limits { budget: room * BLOCK, window, ..Limits::default() });
    let tasks = || trace.iter().enumerate().map(|(number, step)| (TaskId(number as u64), step));
    tasks().for_each(|(task, step)| machine.submit(task, step));
    tasks().for_each(|(task, step)| machine.run(task, step));
    assert!(machine.peak <= room * BLOCK, "never over the budget");
    machine.moved
}

/// As [`run_policy`], but in the order that the policy prefers among the tasks that are ready.
fn run_preferred(trace: &[Step], room: u64) -> Moved {
    let mut machine = Machine::new(Limits { budget: room * BLOCK, window: 0, ..Limits::default() });
    let mut left: Vec<TaskId> = (0..trace.len() as u64).map(TaskId).collect();
    left.iter().for_each(|task| machine.submit(*task, &trace[task.0 as usize]));
    let mut made = BTreeSet::new();
    while !left.is_empty() {
        let is_ready = |task: &TaskId| trace[task.0 as usize].reads.iter().all(|block| made.contains(block));
        let ready: Vec<TaskId> = left.iter().copied().filter(is_ready).collect();
        let task = machine.policy.first_to_run(&ready).expect("a trace has no circle");
        left.retain(|other| *other != task);
        machine.run(task, &trace[task.0 as usize]);
        made.extend(trace[task.0 as usize].makes);
    }
    machine.moved
}
