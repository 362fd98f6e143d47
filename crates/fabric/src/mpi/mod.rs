//! The engine for the processes of one job that `mpirun` has started: MPI.
//!
//! The processes of a [`Job`] are its ranks, from 0, fixed from its start to its end. One thread of each owns MPI (`thread`):
//! others leave with it what is to be sent (`desk`) and wake it. MPI has nothing to wait on for what comes, so the thread looks
//! again and again, ever more rarely while nothing happens (`rest`).
//!
//! MPI loses nothing and keeps the order of what one rank sends another, as long as all of them live: when one dies,
//! OpenMPI ends the job and says which and by what. So it tells of no breaks, and a rank that has died comes back as nobody.
//! A rank that is stopped takes nothing: what is under way to it stays so, and nobody else waits for that (`round`).
//!
//! Of the crate `mpi` only safe functions are called. Whoever can read what MPI sends between servers can read the frames.

mod desk;
mod order;
mod owner;
mod rest;
mod round;
#[cfg(test)]
mod tests;
mod thread;
mod word;

use crate::engine::{Engine, EngineError, Inbox, Lane};
use crate::peer::Peer;
use desk::{Desk, Order, Tag};
use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};
use word::Word;

/// How long an engine that stops waits until what it has sent is out. A rank that is stopped itself does not take it.
const PARTING: Duration = Duration::from_secs(1);

/// The job that `mpirun` has started this process in.
pub struct Job {
    shared: Arc<Shared>,
    rank: usize,
    size: usize,
}

/// What the thread that owns MPI shares with others.
#[derive(Debug)]
struct Shared {
    desk: Mutex<Desk>,
    /// Something is on the desk for the thread that owns MPI.
    wanted: Condvar,
    /// It has done something that others may wait for.
    done: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Desk> {
        // A desk is whole between any two statements.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the desk, and wakes the thread that owns MPI.
    fn change<R>(&self, change: impl FnOnce(&mut Desk) -> R) -> R {
        let mut desk = self.lock();
        let result = change(&mut desk);
        let is_asleep = desk.is_wanted();
        drop(desk);
        if is_asleep {
            self.wanted.notify_one();
        }
        result
    }

    /// Waits until something is so, at most so long.
    fn until(&self, limit: Duration, is_so: impl Fn(&Desk) -> bool) {
        let mut desk = self.lock();
        desk.watchers += 1;
        let waited = self.done.wait_timeout_while(desk, limit, |desk| !is_so(desk));
        waited.unwrap_or_else(PoisonError::into_inner).0.watchers -= 1;
    }

    /// The thread that owns MPI changes the desk. Nobody is woken who does not wait: that costs more than the change.
    fn do_and_tell<R>(&self, change: impl FnOnce(&mut Desk) -> R) -> R {
        let mut desk = self.lock();
        let result = change(&mut desk);
        if desk.watchers > 0 {
            self.done.notify_all();
        }
        result
    }
}

impl Job {
    /// Initialises MPI, which waits until all processes of the job do. Once in the life of a process.
    ///
    /// # Errors
    /// When MPI runs in this process already, or the system gives no thread.
    pub fn join() -> Result<Job, EngineError> {
        let (sender, begun) = channel();
        let owner =
            std::thread::Builder::new().name("mpi".to_owned()).spawn(move || self::thread::own(&sender));
        owner.map_err(|cause| EngineError::because("cannot start a thread", cause))?;
        begun.recv().unwrap_or_else(|_| {
            Err(EngineError::new("MPI cannot be initialised: the thread that does it has panicked"))
        })
    }

    /// Which of the processes this is, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Says something to another rank, whether it has an engine or not. Never waits for it.
    ///
    /// # Panics
    /// When there is no such rank, or it is this one.
    pub fn tell(&self, rank: usize, words: Vec<u8>) {
        assert!(rank < self.size && rank != self.rank, "rank {rank} of {} is another one", self.size);
        self.shared.change(|desk| desk.say(rank, &Word::Told(words)));
    }

    /// Waits until another rank says something; gives which, and what. It ends with the job at the latest.
    pub fn hear(&self) -> (usize, Vec<u8>) {
        let mut desk = self.shared.lock();
        desk.watchers += 1;
        loop {
            if let Some(heard) = desk.heard.pop_front() {
                desk.watchers -= 1;
                return heard;
            }
            desk = self.shared.done.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The engine of this process as this peer, one at a time.
    pub fn engine(&self, me: Peer) -> MpiEngine {
        MpiEngine { me, shared: self.shared.clone() }
    }

    /// Leaves MPI, which waits until all processes of the job do. Then nothing of it can be used any more.
    ///
    /// # Errors
    /// When it lasts longer than this: because another process still runs, or is stopped and has not taken what was sent to it.
    pub fn finish(&self, limit: Duration) -> Result<(), EngineError> {
        let (sender, ended) = channel();
        self.shared.change(|desk| desk.orders.push_back(Order::Finish(sender)));
        match ended.recv_timeout(limit) {
            // Without the thread there is nothing more to end.
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(()),
            Err(RecvTimeoutError::Timeout) => Err(EngineError::new(format!(
                "the other processes that mpirun has started have not ended within {limit:?}"
            ))),
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.size)
    }
}

/// A process of a job as a peer.
#[derive(Debug)]
pub struct MpiEngine {
    me: Peer,
    shared: Arc<Shared>,
}

impl Engine for MpiEngine {
    fn start(&self, inbox: Arc<dyn Inbox>) -> Result<(), EngineError> {
        self.shared.change(|desk| {
            if desk.me.is_some() {
                return Err(EngineError::new(format!("{} is in this process already", self.me)));
            }
            desk.me = Some(self.me);
            desk.orders.push_back(Order::Start(inbox));
            desk.say_to_all(&Word::Is(self.me));
            Ok(())
        })
    }

    fn send(&self, to: Peer, lane: Lane, frame: Vec<u8>) {
        self.shared.change(|desk| {
            // Who is not there gets nothing, as with any engine; and so does who takes nothing.
            if let Some(rank) = desk.rank_of(to) {
                desk.push(rank, Tag::of(lane), frame);
            }
        });
    }

    fn stop(&self) {
        let deadline = Instant::now() + PARTING;
        let was_running = self.shared.change(|desk| {
            let was_running = desk.me.take() == Some(self.me);
            if was_running {
                desk.say_to_all(&Word::Was(self.me));
            }
            was_running
        });
        if !was_running {
            return;
        }
        let is_owner = self.shared.lock().owner == Some(std::thread::current().id());
        if !is_owner {
            self.shared.until(PARTING, Desk::is_sent);
        }
        let (sender, ended) = channel();
        self.shared.change(|desk| desk.orders.push_back(Order::Stop(sender)));
        if !is_owner {
            // It may be in the inbox: that ends, or nothing is told any more.
            let left = deadline.saturating_duration_since(Instant::now()).max(PARTING);
            ended.recv_timeout(left).ok();
        }
    }
}

/// The thread that owns MPI, as the desk knows it.
type Owner = Option<ThreadId>;
