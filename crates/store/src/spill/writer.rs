//! The threads that move chunks between memory and the spill file.
//!
//! A transfer is one chunk, and goes piece by piece: whenever a task waits for a chunk, its read goes before everything
//! else as soon as the pieces under way are done. Nobody holds a lock while the disk works, and the callback runs
//! without one. Whatever happens, each transfer that was accepted ends with one [`Completion`] that hands back the
//! memory: none is lost when the writer is dropped.

mod queue;

use super::chunk::ChunkId;
use super::error::Error;
use super::file::{SpillFile, Stored};
use super::message::Haste;
use super::scratch::Scratch;
use queue::{Job, Queue, Ticket};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Two threads with pieces of 4 MiB reach the rate of the disk; more were slower.
const THREADS: usize = 2;

/// What is written: the bytes of a chunk, as a head and buffers. They do not change while a transfer has them.
pub trait Parts: Send {
    /// The bytes, in order. The same at each call.
    fn parts(&self) -> Vec<&[u8]>;
}

/// What is read into.
pub trait PartsMut: Send {
    /// The memory, in order: as many bytes each as were written.
    fn parts_mut(&mut self) -> Vec<&mut [u8]>;
}

impl Parts for Vec<Vec<u8>> {
    fn parts(&self) -> Vec<&[u8]> {
        self.iter().map(Vec::as_slice).collect()
    }
}

impl PartsMut for Vec<Vec<u8>> {
    fn parts_mut(&mut self) -> Vec<&mut [u8]> {
        self.iter_mut().map(Vec::as_mut_slice).collect()
    }
}

/// What to move. A chunk has one transfer at a time.
pub enum Transfer<W, R> {
    /// From memory to disk.
    Write {
        /// Which chunk.
        chunk: ChunkId,
        /// Its bytes.
        memory: W,
    },
    /// From disk to memory.
    Read {
        /// Which chunk.
        chunk: ChunkId,
        /// Where it is.
        stored: Stored,
        /// Where it goes.
        memory: R,
        /// Whether a task waits.
        haste: Haste,
    },
}

/// A transfer has ended. The memory comes back whatever happened, and a chunk that was read is still on disk.
#[derive(Debug)]
pub enum Completion<W, R> {
    /// It was written, or not.
    Write {
        /// Which chunk.
        chunk: ChunkId,
        /// Its bytes.
        memory: W,
        /// Where it is now.
        outcome: Outcome<Stored>,
    },
    /// It was read, or not.
    Read {
        /// Which chunk.
        chunk: ChunkId,
        /// Its place on disk.
        stored: Stored,
        /// Its bytes, if all went well.
        memory: R,
        /// Whether it did.
        outcome: Outcome<()>,
    },
}

/// How a transfer ended.
#[derive(Debug)]
pub enum Outcome<T> {
    /// It is done.
    Done(T),
    /// It was taken back.
    Cancelled,
    /// It failed.
    Failed(Arc<Error>),
}

/// Why a transfer was not accepted, and the transfer.
pub struct Refused<W, R> {
    /// What was to be moved.
    pub transfer: Transfer<W, R>,
    /// Why not.
    pub why: Refusal,
}

/// Why a transfer is not accepted.
#[derive(Debug)]
pub enum Refusal {
    /// As many as there may be are under way.
    Busy,
    /// There is no thread to do it, because the system lets us start none.
    NoThread(io::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Busy => f.write_str("as many transfers as there may be are under way"),
            Refusal::NoThread(error) => write!(f, "no thread can be started for it: {error}"),
        }
    }
}

/// Bytes moved, and under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Bytes of chunks that were written.
    pub written: u64,
    /// Bytes of chunks that were read.
    pub read: u64,
    /// Bytes of chunks that were accepted and have not ended.
    pub in_flight: u64,
}

/// Who is told that a transfer has ended, on one of the writer's threads. It must not wait for another transfer.
type Callback<W, R> = Box<dyn Fn(Completion<W, R>) + Send + Sync>;

/// Moves chunks on two threads, which start with the first transfer and end with this.
pub struct Writer<W: Parts + 'static, R: PartsMut + 'static> {
    shared: Arc<Shared<W, R>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared<W, R> {
    file: SpillFile,
    queue: Mutex<Queue<W, R>>,
    /// Somebody queued a transfer, or the writer ends.
    changed: Condvar,
    callback: Callback<W, R>,
    written: AtomicU64,
    read: AtomicU64,
    in_flight: AtomicU64,
}

impl<W: Parts + 'static, R: PartsMut + 'static> Writer<W, R> {
    /// A writer of `file` that has at most `transfers_max` under way, and tells `callback` of each end.
    pub fn new(
        file: SpillFile,
        transfers_max: usize,
        callback: impl Fn(Completion<W, R>) + Send + Sync + 'static,
    ) -> Writer<W, R> {
        let shared = Shared {
            file,
            queue: Mutex::new(Queue::new(transfers_max)),
            changed: Condvar::new(),
            callback: Box::new(callback),
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
        };
        Writer { shared: Arc::new(shared), threads: Mutex::default() }
    }

    /// Queues a transfer. The callback tells of its end, perhaps before this returns.
    ///
    /// # Errors
    /// When too many are under way, or no thread can be started. The transfer comes back.
    pub fn submit(&self, transfer: Transfer<W, R>) -> Result<(), Box<Refused<W, R>>> {
        if let Err(error) = self.start() {
            return Err(Box::new(Refused { transfer, why: Refusal::NoThread(error) }));
        }
        let bytes = transfer.bytes();
        // Relaxed, here and below: the counters order nothing.
        self.shared.in_flight.fetch_add(bytes, Ordering::Relaxed);
        let result = self.shared.lock().push(transfer, bytes);
        match result {
            Ok(()) => self.shared.changed.notify_one(),
            Err(transfer) => {
                self.shared.in_flight.fetch_sub(bytes, Ordering::Relaxed);
                return Err(Box::new(Refused { transfer, why: Refusal::Busy }));
            }
        }
        Ok(())
    }

    /// Nobody wants this chunk's transfer any more. It ends as soon as the piece under way is done, which the callback
    /// tells as always; it may have been done already.
    pub fn cancel(&self, chunk: ChunkId) {
        self.shared.lock().cancel(chunk);
        self.shared.changed.notify_one();
    }

    /// A task waits for this chunk, which is being read ahead.
    pub fn hurry(&self, chunk: ChunkId) {
        self.shared.lock().hurry(chunk);
    }

    /// Bytes moved so far, and under way.
    pub fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Shared { written, read: was_read, in_flight, .. } = &*self.shared;
        Traffic { written: read(written), read: read(was_read), in_flight: read(in_flight) }
    }

    /// Tells whether the writer ends: also when it is being dropped.
    #[cfg(test)]
    pub(super) fn end(&self) -> impl Fn() -> bool + use<W, R> {
        let shared = self.shared.clone();
        move || shared.lock().is_closed()
    }

    /// Starts the threads, if they have not been. One is enough if the system gives no more.
    fn start(&self) -> io::Result<()> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if !threads.is_empty() {
            return Ok(());
        }
        for number in 0..THREADS {
            let shared = self.shared.clone();
            match thread::Builder::new().name(format!("spill-{number}")).spawn(move || shared.work()) {
                Ok(thread) => threads.push(thread),
                Err(error) if threads.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(())
    }
}

impl<W: Parts + 'static, R: PartsMut + 'static> Drop for Writer<W, R> {
    /// Ends what is queued as cancelled, and waits for the threads.
    fn drop(&mut self) {
        self.shared.lock().close();
        self.shared.changed.notify_all();
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // The callback may have had the last reference: its own thread ends when it returns.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl<W: Parts, R: PartsMut> Shared<W, R> {
    fn lock(&self) -> MutexGuard<'_, Queue<W, R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One thread: takes a transfer, moves pieces until it is done or has to make way, until the writer ends.
    fn work(&self) {
        let mut scratch = Scratch::new();
        while let Some((mut job, ticket)) = self.next() {
            let step = AssertUnwindSafe(|| self.advance(&mut job, &ticket, &mut scratch));
            // Memory that cannot be looked at fails its own transfer, not the thread that others need.
            let end = catch_unwind(step).unwrap_or_else(|_| Some(self.panicked()));
            match end {
                None => {
                    self.lock().put_back(job, ticket);
                    self.changed.notify_one();
                }
                Some(end) => self.finish(job, &ticket, end),
            }
        }
    }

    fn next(&self) -> Option<(Job<W, R>, Ticket)> {
        let mut queue = self.lock();
        loop {
            if let Some(found) = queue.pop() {
                return Some(found);
            }
            if queue.is_closed() {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Moves pieces. None when a task waits for something else, and the rest must come later.
    fn advance(&self, job: &mut Job<W, R>, ticket: &Ticket, scratch: &mut Scratch) -> Option<Outcome<()>> {
        let chunk = ticket.chunk;
        let result = match job {
            Job::Write { memory, stored } => {
                let parts = memory.parts();
                let stored = stored.get_or_insert_with(|| self.file.begin(&parts));
                self.pieces(ticket, || stored.write_next(chunk, &parts, scratch))
            }
            Job::Read { memory, stored, done } => {
                let mut parts = memory.parts_mut();
                self.pieces(ticket, || stored.read_next(chunk, &mut parts, done, scratch))
            }
        };
        match result {
            Ok(outcome) => outcome,
            Err(error) => Some(Outcome::Failed(Arc::new(error))),
        }
    }

    /// Does `step` until it says that there was nothing left.
    fn pieces(
        &self,
        ticket: &Ticket,
        mut step: impl FnMut() -> Result<bool, Error>,
    ) -> Result<Option<Outcome<()>>, Error> {
        loop {
            if ticket.is_cancelled() {
                return Ok(Some(Outcome::Cancelled));
            }
            if !step()? {
                return Ok(Some(Outcome::Done(())));
            }
            if self.lock().must_make_way(ticket) {
                return Ok(None);
            }
        }
    }

    fn panicked(&self) -> Outcome<()> {
        let error = io::Error::other("the memory of the chunk panicked");
        Outcome::Failed(Arc::new(Error::io("move a chunk to or from", self.file.path(), error)))
    }

    fn finish(&self, job: Job<W, R>, ticket: &Ticket, end: Outcome<()>) {
        self.in_flight.fetch_sub(ticket.bytes, Ordering::Relaxed);
        let chunk = ticket.chunk;
        let moved = if matches!(job, Job::Write { .. }) { &self.written } else { &self.read };
        if let Outcome::Done(()) = end {
            moved.fetch_add(ticket.bytes, Ordering::Relaxed);
        }
        self.lock().end(chunk);
        let completion = match job {
            Job::Read { memory, stored, .. } => Completion::Read { chunk, stored, memory, outcome: end },
            Job::Write { memory, stored } => {
                let outcome = match (end, stored) {
                    (Outcome::Done(()), Some(stored)) => Outcome::Done(stored),
                    (Outcome::Failed(error), _) => Outcome::Failed(error),
                    _ => Outcome::Cancelled,
                };
                Completion::Write { chunk, memory, outcome }
            }
        };
        // A callback that panics has said so; the transfers of others go on.
        let _ = catch_unwind(AssertUnwindSafe(|| (self.callback)(completion)));
    }
}

impl<W: Parts, R> Transfer<W, R> {
    fn bytes(&self) -> u64 {
        let lengths: u64 = match self {
            Transfer::Write { memory, .. } => memory.parts().iter().map(|part| part.len() as u64).sum(),
            Transfer::Read { stored, .. } => stored.lengths().iter().map(|length| *length as u64).sum(),
        };
        lengths
    }
}

impl<W, R> fmt::Debug for Transfer<W, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Transfer::Write { chunk, .. } => write!(f, "Write({chunk})"),
            Transfer::Read { chunk, haste, .. } => write!(f, "Read({chunk}, {haste:?})"),
        }
    }
}

impl<W, R> fmt::Debug for Refused<W, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("transfer", &self.transfer).field("why", &self.why).finish()
    }
}

impl<W: Parts, R: PartsMut> fmt::Debug for Writer<W, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("file", &self.shared.file).field("traffic", &self.traffic()).finish()
    }
}
