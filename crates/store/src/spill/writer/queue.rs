//! Which transfer a thread takes next. Held behind the writer's lock, never while the disk works.

use super::{ChunkId, Haste, Stored, Transfer};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A transfer, as far as it has come.
pub(super) enum Job<W, R> {
    Write { memory: W, stored: Option<Stored> },
    Read { memory: R, stored: Stored, done: usize },
}

/// What goes along with a transfer.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    pub(super) chunk: ChunkId,
    pub(super) bytes: u64,
    flags: Arc<Flags>,
}

#[derive(Debug, Default)]
struct Flags {
    /// Nobody wants it.
    is_cancelled: AtomicBool,
    /// A task waits for it.
    is_urgent: AtomicBool,
}

/// Transfers that wait for a thread.
pub(super) struct Queue<W, R> {
    /// Reads that tasks wait for, and what only has to be told that it was cancelled.
    urgent: VecDeque<(Job<W, R>, Ticket)>,
    other: VecDeque<(Job<W, R>, Ticket)>,
    /// All that were accepted and have not ended.
    live: HashMap<ChunkId, Ticket>,
    live_max: usize,
    is_closed: bool,
}

impl<W, R> Queue<W, R> {
    pub(super) fn new(live_max: usize) -> Queue<W, R> {
        let (urgent, other) = (VecDeque::new(), VecDeque::new());
        Queue { urgent, other, live: HashMap::new(), live_max, is_closed: false }
    }

    pub(super) fn push(&mut self, transfer: Transfer<W, R>, bytes: u64) -> Result<(), Transfer<W, R>> {
        if self.live.len() >= self.live_max || self.is_closed {
            return Err(transfer);
        }
        let (chunk, job, haste) = match transfer {
            Transfer::Write { chunk, memory } => (chunk, Job::Write { memory, stored: None }, Haste::Ahead),
            Transfer::Read { chunk, stored, memory, haste } => {
                (chunk, Job::Read { memory, stored, done: 0 }, haste)
            }
        };
        let ticket = Ticket { chunk, bytes, flags: Arc::default() };
        // Relaxed: the flags are hints that are looked at again and again; the lock orders the rest.
        ticket.flags.is_urgent.store(haste == Haste::Task, Ordering::Relaxed);
        let old = self.live.insert(chunk, ticket.clone());
        assert!(old.is_none(), "{chunk} has one transfer at a time");
        match haste {
            Haste::Task => self.urgent.push_back((job, ticket)),
            Haste::Ahead => self.other.push_back((job, ticket)),
        }
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Option<(Job<W, R>, Ticket)> {
        self.urgent.pop_front().or_else(|| self.other.pop_front())
    }

    /// A transfer that has made way goes on as soon as nothing more urgent waits.
    pub(super) fn put_back(&mut self, job: Job<W, R>, ticket: Ticket) {
        if ticket.is_urgent() || ticket.is_cancelled() {
            self.urgent.push_front((job, ticket));
        } else {
            self.other.push_front((job, ticket));
        }
    }

    /// Whether a task waits for something else than this.
    pub(super) fn must_make_way(&self, ticket: &Ticket) -> bool {
        !ticket.is_urgent() && !self.urgent.is_empty()
    }

    pub(super) fn cancel(&mut self, chunk: ChunkId) {
        if let Some(ticket) = self.live.get(&chunk) {
            ticket.flags.is_cancelled.store(true, Ordering::Relaxed);
            self.move_up(chunk);
        }
    }

    pub(super) fn hurry(&mut self, chunk: ChunkId) {
        if let Some(ticket) = self.live.get(&chunk) {
            ticket.flags.is_urgent.store(true, Ordering::Relaxed);
            self.move_up(chunk);
        }
    }

    fn move_up(&mut self, chunk: ChunkId) {
        if let Some(place) = self.other.iter().position(|(_, ticket)| ticket.chunk == chunk) {
            self.urgent.extend(self.other.remove(place));
        }
    }

    pub(super) fn end(&mut self, chunk: ChunkId) {
        self.live.remove(&chunk);
    }

    /// Cancels everything, and accepts nothing more.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        for ticket in self.live.values() {
            ticket.flags.is_cancelled.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }
}

impl Ticket {
    pub(super) fn is_cancelled(&self) -> bool {
        self.flags.is_cancelled.load(Ordering::Relaxed)
    }

    fn is_urgent(&self) -> bool {
        self.flags.is_urgent.load(Ordering::Relaxed)
    }
}
