//! Ready tasks that other processes may have: they are taken off the cold ends of the queues, where the largest parts of a
//! computation lie (Blumofe and Leiserson, "Scheduling multithreaded computations by work stealing", 1999).
//!
//! A task that is lent is claimed and packed at once. Which process gets it, or whether it stays after all, is decided by who has
//! taken it.

use super::away::{self, Away};
use super::{Engine, admission, attempt, inject, queue, running, steal};
use crate::task::extra::Extra;
use crate::task::kept::{self, Pin};
use crate::task::{GATED, HALTED, HOME, PLACED, Ran, TaskRef};
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

/// Tasks that are looked at in vain before a search ends: those next to them will stay as well.
const MISSES_MAX: usize = 16;

/// How large values cross to other processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// By copies: who reads or makes some is not lent.
    Copied,
    /// Without a copy, and results come home.
    Shared,
    /// By copies, but results stay where they are made until somebody reads them elsewhere.
    Stay,
}

/// As a number: how large values cross now.
static CROSSING: AtomicU8 = AtomicU8::new(Crossing::Copied as u8);

/// Says how large values cross, from now on, which tells who may be lent that reads or makes some.
pub fn lend_large(crossing: Crossing) {
    CROSSING.store(crossing as u8, Relaxed);
}

fn values_are(crossing: Crossing) -> bool {
    CROSSING.load(Relaxed) == crossing as u8
}

/// Takes ready tasks that may run in another process, the coldest first: as many as `amount` makes of the number of all that are
/// ready here. Of those whose results may be large, and of whose kind none is known yet, at most one for each of so many `idle` processors:
/// the budget does not see them before they come home.
pub fn take(amount: impl FnOnce(u64) -> u64, idle: u32) -> Vec<Away> {
    let Some(engine) = running() else { return Vec::new() };
    let wanted = amount(ready()) as usize;
    let mut search = Search { engine, wanted, unseen: idle, taken: Vec::new() };
    search.look(|| engine.coldest());
    // Who waits for a processor by the keeper's word has left the queues.
    let mut parked = admission::unpark(wanted - search.taken.len(), may_leave);
    search.look(|| parked.pop());
    parked.into_iter().for_each(inject);
    search.taken
}

/// A search for tasks that may be lent.
struct Search {
    engine: &'static Engine,
    wanted: usize,
    /// How many more may be taken of those whose results may be large, and of whose kind none is known.
    unseen: u32,
    taken: Vec<Away>,
}

impl Search {
    /// Takes what may be lent of what `next` gives.
    fn look(&mut self, mut next: impl FnMut() -> Option<TaskRef>) {
        let mut kept = Vec::new();
        while self.taken.len() < self.wanted && kept.len() < MISSES_MAX {
            let Some(task) = next() else { break };
            let is_unseen = is_unseen(&task);
            if is_unseen && self.unseen == 0 {
                kept.push(task);
                continue;
            }
            match lend(self.engine, task) {
                Lent::Away(away) => {
                    self.unseen -= u32::from(is_unseen);
                    self.taken.push(away);
                }
                Lent::Gone => {}
                Lent::Stays(task) => kept.push(task),
            }
        }
        kept.into_iter().for_each(inject);
    }
}

/// How many plain tasks are ready here, those among them that the keeper has not let in yet.
pub fn ready() -> u64 {
    running().map_or(0, |engine| (engine.plain_ready() + admission::parked()) as u64)
}

/// Has the carrier told now how many processors have nothing to do: those of a new pool have never had anything.
pub fn tell_idle() {
    if let Some(engine) = running() {
        away::run_dry(engine);
    }
}

/// Has the carrier told when there is a ready task, from now on or not any more. Told once, then it has to be said again.
pub fn want_work(wanted: bool) {
    if let Some(engine) = running() {
        engine.crew.want(wanted);
        if wanted {
            engine.call_if_work();
        }
    }
}

/// What came of it.
enum Lent {
    Away(Away),
    /// Somebody else has it.
    Gone,
    Stays(TaskRef),
}

fn lend(engine: &'static Engine, task: TaskRef) -> Lent {
    let (reads, makes) = (task.flags() & GATED != 0, task.makes_much());
    let stays = !may_leave(&task)
        || (reads && !values_are(Crossing::Shared))
        || (makes && values_are(Crossing::Copied))
        || !has_room(&task);
    if stays {
        return Lent::Stays(task);
    }
    if !task.gate.claim() {
        return Lent::Gone;
    }
    if !reads && (!makes || values_are(Crossing::Stay)) {
        return pack(engine, task, Vec::new());
    }
    // What it reads is in memory while it is packed, and what it makes has room; else it is parked, and ready again later.
    match admission::let_leave(task) {
        Some((task, pins)) => pack(engine, task, pins),
        None => Lent::Gone,
    }
}

/// Has a claimed task carried to its inputs if most of them are with other processes; gives it back if it is to run here.
pub(super) fn follow_inputs(engine: &'static Engine, task: TaskRef) -> Option<TaskRef> {
    let beside = if may_leave(&task) { admission::beside_remote(&task) } else { None };
    let Some(beside) = beside.filter(|beside| beside.remote_bytes > beside.bytes) else { return Some(task) };
    match pack(engine, task, beside.pins) {
        Lent::Away(away) => {
            away.extra().set_follows();
            away::carry(away);
        }
        Lent::Gone => {}
        Lent::Stays(task) => return task.gate.claim().then_some(task),
    }
    None
}

/// Whether nothing keeps the task here but what it reads and makes.
fn may_leave(task: &TaskRef) -> bool {
    task.flags() & (HOME | PLACED | HALTED) == 0
        && !task.site.stays()
        && !task.is_halted()
        && task.extra().is_none_or(Extra::may_be_lent)
}

/// Whether its result may be large, and none of its kind is known yet.
fn is_unseen(task: &TaskRef) -> bool {
    task.may_be_large() && task.site.result_bytes().is_none()
}

/// Whether there is room for the task's result when it comes home before those run who use it: else it is made when it is its
/// turn, and the budget is kept without the disk.
fn has_room(task: &TaskRef) -> bool {
    let result = task.site.result_bytes();
    if !task.may_be_large() || result == Some(0) || values_are(Crossing::Stay) {
        return true;
    }
    kept::keeper().is_none_or(|keeper| keeper.is_roomy(result))
}

/// Packs a claimed task.
fn pack(engine: &'static Engine, task: TaskRef, pins: Vec<Pin>) -> Lent {
    if task.extra().is_none() {
        task.set_extra(Box::default());
    }
    let extra = task.extra().expect("set above");
    extra.set_lent(true);
    // SAFETY: claimed here, and a ready task's inputs have ended well.
    let ran = kept::holding(pins, || unsafe { task.run() });
    if let Ran::Packed(packed) = ran
        && let Ok(parcel) = packed.parcel
    {
        attempt::begin(engine, &task);
        return Lent::Away(Away::new(task, parcel, packed.homecoming));
    }
    extra.set_lent(false);
    task.set_flags(HOME);
    task.gate.reopen();
    if attempt::end_if_asked(&task) { Lent::Gone } else { Lent::Stays(task) }
}

impl Engine {
    fn plain_ready(&self) -> usize {
        let injected = self.injected_len.load(Relaxed);
        injected + self.seats.iter().map(crate::deque::Deque::len).sum::<usize>()
    }

    /// Takes the oldest task of those who have the most.
    fn coldest(&'static self) -> Option<TaskRef> {
        let longest = self.seats.iter().max_by_key(|deque| deque.len());
        longest.and_then(steal).or_else(|| self.pop_injected())
    }
}

impl Extra {
    /// Whether all that was asked for holds in another process as well.
    fn may_be_lent(&self) -> bool {
        !self.stays && self.note.is_none() && !self.is_cached && self.makes_again.is_none()
    }
}

/// Puts a task that was not sent after all where it is found last.
pub(super) fn put_back(task: TaskRef) {
    if task.flags() & PLACED != 0 { queue(task) } else { inject(task) }
}
