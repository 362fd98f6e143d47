//! Which chunks leave memory, which come back, and which task may start: events in, actions out.
//!
//! Nothing here reads a clock, starts a transfer or takes a lock. The rules, in order of what they save:
//!
//! 1. A chunk that nobody wants any more is freed without being written ([`Event::Released`]).
//! 2. A task is let in when its inputs and its result fit, and there is a processor for it. Of those who wait the one that
//!    was submitted first comes first, as the rule below expects, so that no large task waits for ever; only a task that
//!    leaves no more in memory than it found goes ahead, if there is room for it now. When nothing runs and nothing more
//!    can leave, the first one is let in all the same.
//! 3. The chunk with the furthest next use leaves first (Belady, "A study of replacement algorithms for a
//!    virtual-storage computer", 1966); see [`VictimKey`](super::chunk::VictimKey) for ties.
//! 4. A clean chunk is never written again.
//! 5. What can be made again is dropped where others are written, but only where room is needed now: that is work twice. Who
//!    waits for it has its memory reserved. Of the tasks that make chunks again the last one that asked comes first, and all
//!    others wait for them: so a tree of such chunks is made again depth first, with those along one path in memory.
//! 6. While tasks are to come, a few chunks' worth of memory is kept free by writing behind, and as much is read
//!    ahead, but only in place of what is needed later still: no two chunks can drive each other out in turns.
//!
//! Every event costs O(log n) for each chunk that it names and each action that it brings about.

mod again;
mod check;
mod choice;
mod memory;
mod task;

use super::chunk::{Chunk, ChunkId, Seat, Spill, State, VictimKey};
use super::error::Error;
use super::message::{Action, Event, Haste, Limits, Made, Remade, Why, Written};
use super::next_use::NextUse;
use poniard_model::TaskId;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use task::{Stage, Task};

pub use task::Lane;

/// The state of memory and of those who wait for it.
#[derive(Debug)]
pub struct Policy {
    limits: Limits,
    chunks: HashMap<ChunkId, Chunk>,
    tasks: HashMap<TaskId, Task>,
    /// Who asked and waits behind `head`, on a processor or beside them: those who were submitted first go first.
    queue: BTreeSet<(Lane, TaskId)>,
    /// Tasks that asked to make chunks again, in the order in which they did.
    again: Vec<TaskId>,
    /// Whose turn it is. Its inputs are pinned where they are.
    head: Option<TaskId>,
    /// The number of the current event.
    now: u64,
    sums: Sums,
    orders: Orders,
    /// Bytes that admitted tasks may still make.
    promised: u64,
    /// The budget, or what facts that could not be refused have brought memory to beyond it. It sinks with use.
    ceiling: u64,
    /// Tasks that were let in and do not wait for another one.
    active: usize,
    /// Those among them that hold a processor, or will.
    on_processors: usize,
    /// Tasks that were let in and wait for another one.
    paused: usize,
    /// Chunks that are to be made again by tasks that have not asked yet.
    unasked: usize,
    /// Transfers under way.
    transfers: usize,
    /// Reads for admitted tasks that wait for another transfer to end.
    reads: VecDeque<ChunkId>,
    /// Why the disk takes nothing now.
    refusal: Option<Arc<Error>>,
    /// The usual size of a chunk: the largest of late.
    usual: u64,
}

/// What the seats of all chunks add up to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    held: u64,
    leaving: u64,
    ahead: u64,
    stored: u64,
    /// The part of `stored` that is in memory too.
    copied: u64,
}

/// What the seats of all chunks order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Orders {
    /// What may leave memory, but for what can be made again; the last one first.
    victims: BTreeSet<VictimKey>,
    /// What may leave memory without being written; the last one first.
    droppable: BTreeSet<VictimKey>,
    /// What is worth reading ahead; the first one first.
    cold: BTreeSet<(NextUse, ChunkId)>,
    /// What is in memory and on disk.
    copies: BTreeSet<(NextUse, ChunkId)>,
}

/// Every so many chunks, the usual size forgets about two thirds of what was larger once.
const USUAL_FORGETS: u64 = 64;

impl Policy {
    /// The policy of a store with nothing in it.
    pub fn new(limits: Limits) -> Policy {
        Policy {
            ceiling: limits.budget,
            limits,
            chunks: HashMap::new(),
            tasks: HashMap::new(),
            queue: BTreeSet::new(),
            again: Vec::new(),
            unasked: 0,
            head: None,
            now: 0,
            sums: Sums::default(),
            orders: Orders::default(),
            promised: 0,
            active: 0,
            on_processors: 0,
            paused: 0,
            transfers: 0,
            reads: VecDeque::new(),
            refusal: None,
            usual: 0,
        }
    }

    /// Takes note of what happened, and adds to `out` what is to be done about it, in order.
    pub fn on(&mut self, event: Event, out: &mut Vec<Action>) {
        self.now += 1;
        match event {
            Event::Made(made) => self.on_made(made, out),
            Event::Submitted { task, inputs, result } => self.on_submitted(task, inputs, result),
            Event::Reads(task, chunk) => self.on_reads(task, chunk),
            Event::Makes(task, result) => self.on_makes(task, result),
            Event::Limits(limits) => {
                // Another folder may take what the last one refused.
                (self.limits, self.refusal) = (limits, None);
            }
            Event::Asked(task, lane) => self.on_asked(task, lane, out),
            Event::AskedAgain(task, chunk) => self.on_asked_again(task, chunk),
            Event::Paused(task) => self.on_paused(task),
            Event::Resumed(task) => self.on_resumed(task),
            Event::Ended { task, result } => self.on_ended(task, result, out),
            Event::Pinned(chunk) => self.on_pinned(chunk),
            Event::Unpinned(chunk) => self.on_unpinned(chunk, out),
            Event::Released(chunk) => self.on_released(chunk, out),
            Event::WriteEnded { chunk, outcome } => self.on_write_ended(chunk, outcome, out),
            Event::ReadEnded { chunk, outcome } => self.on_read_ended(chunk, outcome, out),
            Event::Stalled(chunk) => self.on_stalled(chunk),
            Event::Remade { chunk, outcome } => self.on_remade(chunk, outcome, out),
        }
        self.pump(out);
        self.ceiling = self.limits.budget.max(self.ceiling.min(self.used()));
    }

    /// Whether the chunk is in memory, so that a user may pin it.
    pub fn is_resident(&self, chunk: ChunkId) -> bool {
        self.chunks.get(&chunk).is_some_and(Chunk::is_in_memory)
    }

    /// Whether the task was told of and has not ended.
    pub fn is_known(&self, task: TaskId) -> bool {
        self.tasks.contains_key(&task)
    }

    /// Bytes of the largest chunk that the task reads, as far as they are made; 0 for a task that reads none.
    pub fn largest_input(&self, task: TaskId) -> u64 {
        let inputs = self.tasks.get(&task).map_or(&[][..], |task| &task.inputs);
        inputs.iter().map(|input| self.chunks[input].bytes).max().unwrap_or(0)
    }

    /// Whether the task was let in and has not ended.
    pub fn is_running(&self, task: TaskId) -> bool {
        self.tasks.get(&task).is_some_and(|task| matches!(task.stage, Stage::Running | Stage::Paused(_)))
    }

    /// Bytes that there may be in memory.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Bytes in memory, and those that running tasks may still make.
    pub fn used(&self) -> u64 {
        self.sums.held + self.promised
    }

    /// Bytes in memory.
    pub fn held(&self) -> u64 {
        self.sums.held
    }

    /// Bytes on disk, those of chunks that are in memory too included.
    pub fn stored(&self) -> u64 {
        self.sums.stored
    }

    /// Changes a chunk, and with it the sums and orders.
    fn change<R>(&mut self, id: ChunkId, change: impl FnOnce(&mut Chunk) -> R) -> R {
        let chunk = self.chunks.get_mut(&id).expect("an event names chunks that exist");
        let result = change(chunk);
        let new = chunk.seat(id);
        let old = std::mem::replace(&mut chunk.seat, new);
        self.reseat(id, &old, &new);
        result
    }

    fn insert(&mut self, id: ChunkId, chunk: Chunk) {
        let old = self.chunks.insert(id, chunk);
        assert!(old.is_none(), "{id} was made twice");
        self.change(id, |_| ());
    }

    fn remove(&mut self, id: ChunkId) {
        let chunk = self.chunks.remove(&id).expect("a chunk is removed once");
        self.reseat(id, &chunk.seat, &Seat::default());
    }

    /// The one method that moves the sums and orders.
    fn reseat(&mut self, id: ChunkId, old: &Seat, new: &Seat) {
        let Sums { held, leaving, ahead, stored, copied } = &mut self.sums;
        *held = *held + new.held - old.held;
        *leaving = *leaving + new.leaving - old.leaving;
        *ahead = *ahead + new.ahead - old.ahead;
        *stored = *stored + new.stored - old.stored;
        *copied = *copied + new.copied() - old.copied();
        let with_id = |next: Option<NextUse>| next.map(|next| (next, id));
        replace(&mut self.orders.victims, old.victim, new.victim);
        replace(&mut self.orders.droppable, old.droppable, new.droppable);
        replace(&mut self.orders.cold, with_id(old.cold), with_id(new.cold));
        replace(&mut self.orders.copies, with_id(old.copy), with_id(new.copy));
        if new.stored < old.stored && self.refusal.as_ref().is_some_and(|error| error.is_full()) {
            // There is room on the disk again: it is worth another try.
            self.refusal = None;
        }
    }

    fn on_made(&mut self, made: Made, out: &mut Vec<Action>) {
        let Made { chunk, bytes, spill, is_held, is_remote } = made;
        self.usual = bytes.max(self.usual - self.usual / USUAL_FORGETS);
        let state = if is_remote { State::OnDisk { stored: 0 } } else { State::Resident { stored: None } };
        match self.chunks.get(&chunk).map(|chunk| &chunk.state) {
            None => self.insert(chunk, Chunk::new(bytes, state, spill, self.now)),
            Some(State::Unmade) => {
                let now = self.now;
                self.change(chunk, |chunk| {
                    (chunk.bytes, chunk.spill, chunk.state, chunk.touched) = (bytes, spill, state, now);
                });
            }
            Some(_) => panic!("{chunk} was made twice"),
        }
        self.change(chunk, |chunk| chunk.is_remote = is_remote);
        if is_held {
            self.on_pinned(chunk);
        }
        self.ceiling = self.ceiling.max(self.used());
        self.settle(chunk, out);
    }

    fn on_pinned(&mut self, chunk: ChunkId) {
        assert!(self.is_resident(chunk), "{chunk} is pinned by a user, but is not in memory");
        self.change(chunk, |chunk| chunk.pins += 1);
    }

    fn on_unpinned(&mut self, chunk: ChunkId, out: &mut Vec<Action>) {
        let now = self.now;
        self.change(chunk, |chunk| (chunk.pins, chunk.touched) = (chunk.pins - 1, now));
        self.settle(chunk, out);
    }

    fn on_released(&mut self, chunk: ChunkId, out: &mut Vec<Action>) {
        // The result of a task that failed is released, but was never made.
        if self.chunks.contains_key(&chunk) {
            self.change(chunk, |chunk| chunk.is_released = true);
            self.settle(chunk, out);
        }
    }

    /// Frees the chunk if nobody wants it. What is under way with it ends first.
    fn settle(&mut self, id: ChunkId, out: &mut Vec<Action>) {
        let chunk = &self.chunks[&id];
        let is_forgotten = matches!(chunk.state, State::Unmade) && chunk.uses.is_empty();
        if is_forgotten {
            self.remove(id);
        } else if chunk.is_over() && !chunk.is_doomed {
            match chunk.state {
                State::Spilling { .. } | State::Restoring { begun: true, .. } => {
                    self.change(id, |chunk| chunk.is_doomed = true);
                    out.push(Action::Cancel(id));
                }
                State::Remaking { .. } => self.change(id, |chunk| chunk.is_doomed = true),
                _ => self.free(id, out),
            }
        } else if chunk.spill == Spill::Eager && chunk.pins == 0 {
            self.send_away(id, out);
        }
    }

    fn free(&mut self, id: ChunkId, out: &mut Vec<Action>) {
        self.remove(id);
        out.push(Action::Free(id));
    }
}

fn replace<K: Ord>(order: &mut BTreeSet<K>, old: Option<K>, new: Option<K>) {
    if old != new {
        if let Some(old) = old {
            order.remove(&old);
        }
        order.extend(new);
    }
}
