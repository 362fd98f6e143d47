//! Memory and disk: who leaves, who comes back, and what happens when nothing moves.

use super::task::Stage;
use super::{
    Action, Arc, ChunkId, Error, Haste, NextUse, Policy, Spill, State, TaskId, VictimKey, Why, Written,
};

/// Victims that are looked at when the first ones do not fit on the disk.
const VICTIMS_MAX: usize = 8;

/// A block of the disk: what a chunk takes is a multiple.
const BLOCK: u64 = 4096;

/// Write-behind and reading ahead take at most this part of the budget each.
const WINDOW_PART: u64 = 4;

/// Why room is made, which says who may have to go for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// A task's turn has come, or memory is over the budget: anybody.
    Now,
    /// Some memory is to be free in advance: whoever was not read ahead.
    Behind,
    /// A chunk with this next use is read ahead: who is needed later than that.
    Ahead(NextUse),
}

impl Policy {
    /// Lets in who fits, makes room for who does not, then looks ahead.
    pub(super) fn pump(&mut self, out: &mut Vec<Action>) {
        self.begin_reads(out);
        self.pump_again(out);
        // Who makes a chunk again comes first: others were let in for it.
        while self.again.is_empty()
            && let Some((head, need)) = self.call_next()
        {
            if !self.fits(need) {
                self.make_room(need, Purpose::Now, out);
            }
            if self.fits(need) {
                self.admit(head, out);
                self.begin_reads(out);
            } else if self.is_moving() {
                break;
            } else {
                self.break_stall(head, need, out);
            }
        }
        self.make_room(0, Purpose::Now, out);
        self.make_room(self.headroom(), Purpose::Behind, out);
        self.read_ahead(out);
    }

    /// Whether something will happen without anybody being let in.
    pub(super) fn is_moving(&self) -> bool {
        self.active > 0 || self.transfers > 0 || self.unasked > 0
    }

    pub(super) fn fits(&self, need: u64) -> bool {
        need == 0 || self.used().saturating_add(need) <= self.limits.budget
    }

    /// Bytes that are missing for `need` more.
    fn excess(&self, need: u64) -> u64 {
        self.used().saturating_add(need).saturating_sub(self.limits.budget)
    }

    /// Bytes that writing behind keeps free: as long as tasks are to come.
    fn headroom(&self) -> u64 {
        let need = match self.head.map(|head| self.tasks[&head].stage) {
            Some(Stage::Head(need)) => need,
            _ => 0,
        };
        let is_idle = self.tasks.len() == self.active + self.paused;
        if is_idle { 0 } else { need.saturating_add(self.window()) }
    }

    fn window(&self) -> u64 {
        self.usual.saturating_mul(self.limits.window).min(self.limits.budget / WINDOW_PART)
    }

    /// Sends away who is needed last, until what is free and what is leaving make `need` bytes.
    pub(super) fn make_room(&mut self, need: u64, purpose: Purpose, out: &mut Vec<Action>) {
        while self.excess(need) > self.sums.leaving {
            let Some((_, is_clean, _, id)) = self.victim(purpose, out) else { return };
            if is_clean {
                self.evict(id, out);
            } else {
                self.begin_write(id, out);
            }
        }
    }

    /// Who leaves first among those who can.
    fn victim(&mut self, purpose: Purpose, out: &mut Vec<Action>) -> Option<VictimKey> {
        let written = self.victim_of_disk(purpose, out);
        if purpose == Purpose::Now { written.max(self.orders.droppable.last().copied()) } else { written }
    }

    /// Who leaves first among those who are written, or were.
    fn victim_of_disk(&mut self, purpose: Purpose, out: &mut Vec<Action>) -> Option<VictimKey> {
        let may_write = self.refusal.is_none() && self.transfers < self.limits.transfers;
        for place in 0..VICTIMS_MAX {
            let key = *self.orders.victims.iter().nth_back(place)?;
            let (next, is_clean, _, id) = key;
            let may_go = match purpose {
                Purpose::Now => true,
                Purpose::Behind => self.chunks[&id].seat.ahead == 0,
                Purpose::Ahead(other) => next > other,
            };
            if !may_go {
                return None;
            }
            if is_clean || (may_write && self.has_place(id, purpose, out)) {
                return Some(key);
            }
        }
        None
    }

    /// Whether the limit leaves room on disk for the chunk. For a task, copies of what is in memory make room.
    fn has_place(&mut self, id: ChunkId, purpose: Purpose, out: &mut Vec<Action>) -> bool {
        let stored = self.stored_size(id);
        let forgettable = if purpose == Purpose::Now { self.sums.copied } else { 0 };
        if (self.sums.stored - forgettable).saturating_add(stored) > self.limits.spill {
            return false;
        }
        while self.sums.stored.saturating_add(stored) > self.limits.spill {
            // The copy of what is needed soonest is the least likely to be of use.
            let (_, copy) = *self.orders.copies.first().expect("they make up what is too much");
            self.change(copy, |chunk| chunk.state = State::Resident { stored: None });
            out.push(Action::Forget(copy));
        }
        true
    }

    /// What the chunk takes on disk at most.
    fn stored_size(&self, id: ChunkId) -> u64 {
        self.chunks[&id].bytes.next_multiple_of(BLOCK)
    }

    fn evict(&mut self, id: ChunkId, out: &mut Vec<Action>) {
        self.change(id, |chunk| {
            chunk.state = match chunk.state {
                State::Resident { stored: Some(stored) } => State::OnDisk { stored },
                State::Resident { stored: None } if chunk.spill == Spill::Remade => State::Gone,
                _ => unreachable!("it is clean"),
            };
            chunk.is_ahead = false;
        });
        out.push(Action::Drop(id));
    }

    /// Sends a chunk away that nobody uses, as far as the disk takes it now.
    pub(super) fn send_away(&mut self, id: ChunkId, out: &mut Vec<Action>) {
        let State::Resident { stored } = self.chunks[&id].state else { return };
        let may_write = self.refusal.is_none() && self.transfers < self.limits.transfers;
        if stored.is_some() {
            self.evict(id, out);
        } else if may_write && self.has_place(id, Purpose::Behind, out) {
            self.begin_write(id, out);
        }
    }

    fn begin_write(&mut self, id: ChunkId, out: &mut Vec<Action>) {
        let stored = self.stored_size(id);
        self.change(id, |chunk| chunk.state = State::Spilling { stored });
        self.transfers += 1;
        out.push(Action::Write(id));
    }

    pub(super) fn on_write_ended(&mut self, id: ChunkId, outcome: Written, out: &mut Vec<Action>) {
        self.transfers -= 1;
        let stored = match outcome {
            Written::Stored(stored) => Some(stored),
            Written::Cancelled => None,
            Written::Failed(error) => {
                self.refusal = Some(error);
                None
            }
            Written::Unfit => {
                self.chunks.get_mut(&id).expect("it was being written").spill = Spill::Never;
                None
            }
        };
        let refusal = self.refusal.take();
        let (is_doomed, may_go, is_eager) = self.change(id, |chunk| {
            assert!(matches!(chunk.state, State::Spilling { .. }), "{id} was not being written");
            chunk.state = State::Resident { stored };
            (chunk.is_doomed, chunk.pins == 0, chunk.spill == Spill::Eager)
        });
        // What the failed write gave up is no room on the disk.
        self.refusal = refusal;
        if is_doomed {
            self.free(id, out);
        } else if stored.is_some() && may_go && (is_eager || self.excess(self.headroom()) > 0) {
            // It was written to leave, though a task may have ended since whose chunks are needed later still.
            self.evict(id, out);
        }
    }

    pub(super) fn on_read_ended(
        &mut self,
        id: ChunkId,
        outcome: Result<(), Arc<Error>>,
        out: &mut Vec<Action>,
    ) {
        let was_stalled = self.chunks[&id].is_stalled;
        self.transfers -= usize::from(!was_stalled);
        let waiters = self.change(id, |chunk| {
            let State::Restoring { stored, begun: true, waiters } = &mut chunk.state else {
                panic!("{id} was not being read")
            };
            let (stored, waiters) = (*stored, std::mem::take(waiters));
            chunk.is_unreadable = outcome.is_err();
            chunk.is_ahead &= outcome.is_ok();
            chunk.is_stalled = false;
            chunk.state = match outcome {
                // From now on it is here, and nowhere else.
                Ok(()) if chunk.is_remote => State::Resident { stored: None },
                Ok(()) => State::Resident { stored: Some(stored) },
                Err(_) => State::OnDisk { stored },
            };
            chunk.is_remote &= outcome.is_err();
            waiters
        });
        if was_stalled {
            waiters.iter().for_each(|waiter| self.waits_no_more(*waiter, 0));
        }
        let chunk = &self.chunks[&id];
        if chunk.is_doomed {
            self.free(id, out);
            return;
        }
        let bytes = chunk.bytes;
        if outcome.is_err()
            && let Some(need) = self.need_of_head(id)
        {
            *need += bytes;
        }
        self.tell_waiters(id, waiters, outcome.err(), out);
    }

    /// The read of a remote chunk ends when tasks have ended: it is none of the things that end by themselves.
    pub(super) fn on_stalled(&mut self, id: ChunkId) {
        let Some(chunk) = self.chunks.get_mut(&id).filter(|chunk| chunk.is_remote && !chunk.is_stalled)
        else {
            return;
        };
        if let State::Restoring { begun: true, waiters, .. } = &chunk.state {
            let waiters = waiters.clone();
            chunk.is_stalled = true;
            self.transfers -= 1;
            // They wait for tasks, which may need their processors.
            waiters.iter().for_each(|waiter| self.waits_on(*waiter, 0));
        }
    }

    pub(super) fn tell_waiters(
        &mut self,
        id: ChunkId,
        waiters: Vec<TaskId>,
        error: Option<Arc<Error>>,
        out: &mut Vec<Action>,
    ) {
        for waiter in waiters {
            match &error {
                None => self.arrived(waiter, out),
                Some(error) => self.fail(waiter, Why::Unreadable(id, error.clone()), out),
            }
        }
    }

    /// Reads what is needed next, as long as it fits or takes the place of what is needed later. Nothing while somebody
    /// waits for room: it would be sent away for him and read again, in turns, without end.
    fn read_ahead(&mut self, out: &mut Vec<Action>) {
        let is_wanted = self.head.is_some() || !self.again.is_empty() || !self.reads.is_empty();
        while !is_wanted && self.transfers < self.limits.transfers {
            let Some((next, id)) = self.orders.cold.first().copied() else { return };
            let bytes = self.chunks[&id].bytes;
            if self.sums.ahead + bytes > self.window() {
                return;
            }
            let need = bytes.saturating_add(self.headroom());
            self.make_room(need, Purpose::Ahead(next), out);
            // The headroom may be used, but only when it is being filled again.
            let is_behind = self.excess(need) > self.sums.leaving || !self.fits(bytes);
            if is_behind || self.transfers == self.limits.transfers {
                return;
            }
            self.change(id, |chunk| {
                let State::OnDisk { stored } = chunk.state else { unreachable!("what is cold is on disk") };
                chunk.state = State::Restoring { stored, begun: true, waiters: Vec::new() };
                chunk.is_ahead = true;
            });
            self.transfers += 1;
            out.push(Action::Read(id, Haste::Ahead));
        }
    }

    /// Nothing runs and nothing moves, and the head does not fit: it is let in alone, or fails.
    fn break_stall(&mut self, head: TaskId, need: u64, out: &mut Vec<Action>) {
        let lacks = self.excess(need);
        let is_reader = self.tasks[&head].result == 0;
        if is_reader && self.used().saturating_add(need) <= self.limits.alone {
            // What it reads is on disk, and leaves again when it ends: better than to keep somebody from his own values.
            self.let_in_alone(head, need, out);
        } else if let Some(error) = self.refusal.take() {
            // The next one that lacks memory tries the disk again.
            self.fail(head, Why::Disk(error), out);
        } else if !self.orders.victims.is_empty() {
            let why = Why::SpillLimit { need: lacks, stored: self.sums.stored, limit: self.limits.spill };
            self.fail(head, why, out);
        } else if self.used().saturating_add(need) > self.limits.alone {
            let why = Why::TooLarge { need, used: self.used(), limit: self.limits.alone };
            self.fail(head, why, out);
        } else {
            self.let_in_alone(head, need, out);
        }
    }

    fn let_in_alone(&mut self, head: TaskId, need: u64, out: &mut Vec<Action>) {
        self.ceiling = self.ceiling.max(self.used() + need);
        self.admit(head, out);
        self.begin_reads(out);
    }
}
