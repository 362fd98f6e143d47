//! One chunk as the policy sees it: its size, where its bytes are, and who wants them.

use super::next_use::{NextUse, Uses};
pub use poniard_model::ChunkId;
use poniard_model::TaskId;
use std::cmp::Reverse;

/// Whether a chunk may ever leave memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spill {
    /// It may be written to disk and read again.
    Allowed,
    /// It leaves whenever nobody uses it, whether there is room or not.
    Eager,
    /// It is dropped instead of written, and made again instead of read.
    Remade,
    /// It stays where it is: mutable or borrowed data, or a value without a codec.
    Never,
}

/// Where the bytes of a chunk are.
#[derive(Debug)]
pub(super) enum State {
    /// Nowhere: a submitted task will read it, and none has made it yet.
    Unmade,
    /// In memory. It is clean when it is on disk too, where it takes `stored` bytes.
    Resident { stored: Option<u64> },
    /// In memory, and being written to disk, where it will take `stored` bytes at most.
    Spilling { stored: u64 },
    /// On disk alone; or, with nothing stored here, in another process.
    OnDisk { stored: u64 },
    /// Its memory is taken, and its bytes are being read, or wait for their turn until the read has `begun`.
    Restoring { stored: u64, begun: bool, waiters: Vec<TaskId> },
    /// Nowhere: it is made again when a task wants it.
    Gone,
    /// Being made again, by a task that has asked or will.
    Remaking { maker: Option<TaskId>, waiters: Vec<TaskId> },
}

#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: u64,
    pub(super) state: State,
    pub(super) spill: Spill,
    /// Tasks that were let in or come next, and users who hold it: none of them sees it leave.
    pub(super) pins: u32,
    pub(super) uses: Uses,
    /// The number of the event that last touched it; orders the least recently used.
    pub(super) touched: u64,
    /// No handle is left: it goes with its last use.
    pub(super) is_released: bool,
    /// Nothing is left that wants it, but a transfer holds its memory until it ends.
    pub(super) is_doomed: bool,
    /// Read ahead of the task that wants it, which has not come yet.
    pub(super) is_ahead: bool,
    /// The last read failed: it is not read ahead again, only for a task.
    pub(super) is_unreadable: bool,
    /// Its bytes are in another process, and nowhere here before the first read has ended.
    pub(super) is_remote: bool,
    /// The read under way waits for tasks.
    pub(super) is_stalled: bool,
    /// What the policy's sums and orders hold of it.
    pub(super) seat: Seat,
}

/// Which chunk leaves first: the largest. Furthest next use; then clean before dirty, for that costs no write; then
/// least recently touched; then the youngest.
pub(super) type VictimKey = (NextUse, bool, Reverse<u64>, ChunkId);

/// The part of a chunk in the policy's sums and orders, all of it derived from the chunk.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Seat {
    /// Its bytes in memory.
    pub(super) held: u64,
    /// Those that will be free, or can be at once, when a transfer that is under way ends.
    pub(super) leaving: u64,
    /// Those that were read ahead and wait for their task.
    pub(super) ahead: u64,
    /// Its bytes on disk.
    pub(super) stored: u64,
    /// Its place among what may be written, or was.
    pub(super) victim: Option<VictimKey>,
    /// Its place among what may leave memory without being written.
    pub(super) droppable: Option<VictimKey>,
    /// Its place among what is on disk alone and worth reading ahead.
    pub(super) cold: Option<NextUse>,
    /// Its place among what is both in memory and on disk.
    pub(super) copy: Option<NextUse>,
}

impl Seat {
    /// Its bytes on disk, if it is in memory too.
    pub(super) fn copied(&self) -> u64 {
        if self.copy.is_some() { self.stored } else { 0 }
    }
}

impl Chunk {
    pub(super) fn new(bytes: u64, state: State, spill: Spill, touched: u64) -> Chunk {
        Chunk {
            bytes,
            state,
            spill,
            touched,
            pins: 0,
            uses: Uses::default(),
            is_released: false,
            is_doomed: false,
            is_ahead: false,
            is_unreadable: false,
            is_remote: false,
            is_stalled: false,
            seat: Seat::default(),
        }
    }

    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self.state, State::Resident { .. } | State::Spilling { .. })
    }

    /// Whether it can leave memory without being written.
    fn is_clean(&self) -> bool {
        self.spill == Spill::Remade || matches!(self.state, State::Resident { stored: Some(_) })
    }

    /// Bytes that a task which uses it needs memory for.
    pub(super) fn missing_bytes(&self) -> u64 {
        if matches!(self.state, State::OnDisk { .. } | State::Gone | State::Remaking { .. }) {
            self.bytes
        } else {
            0
        }
    }

    /// The tasks that wait for it.
    pub(super) fn waiters(&mut self) -> Option<&mut Vec<TaskId>> {
        match &mut self.state {
            State::Restoring { waiters, .. } | State::Remaking { waiters, .. } => Some(waiters),
            _ => None,
        }
    }

    /// Whether nobody holds it or will ask for it.
    pub(super) fn is_over(&self) -> bool {
        self.is_released && self.pins == 0 && self.uses.is_empty()
    }

    /// What the sums and orders should hold of it.
    pub(super) fn seat(&self, id: ChunkId) -> Seat {
        let next = self.uses.next();
        let may_leave = self.pins == 0 && self.spill != Spill::Never && !self.is_doomed;
        let is_awaited = self.is_ahead && self.pins == 0 && next != NextUse::Unknown;
        let ahead = if is_awaited { self.bytes } else { 0 };
        let doomed = if self.is_doomed { self.bytes } else { 0 };
        let seat = Seat { held: self.bytes, ahead, leaving: doomed, ..Seat::default() };
        match self.state {
            State::Unmade | State::Gone | State::Remaking { .. } => Seat::default(),
            State::Resident { stored } => {
                let key = may_leave.then_some((next, self.is_clean(), Reverse(self.touched), id));
                Seat {
                    stored: stored.unwrap_or(0),
                    victim: key.filter(|_| self.spill != Spill::Remade),
                    droppable: key.filter(|_| self.is_clean()),
                    copy: stored.map(|_| next),
                    ..seat
                }
            }
            State::Spilling { stored } => {
                Seat { stored, leaving: if may_leave { self.bytes } else { doomed }, ..seat }
            }
            State::OnDisk { stored } => {
                // Who reads a remote one may well run where that is.
                let may_come = !self.is_unreadable && !self.is_remote;
                let is_wanted = self.pins == 0 && may_come && next != NextUse::Unknown;
                Seat { stored, cold: is_wanted.then_some(next), ..Seat::default() }
            }
            State::Restoring { stored, .. } => Seat { stored, ..seat },
        }
    }
}
