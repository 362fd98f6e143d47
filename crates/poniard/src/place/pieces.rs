//! The pieces of a shard, whatever their type: whose they are, how busy, and how more are made.

use poniard_model::topology::Processor;
use poniard_model::{ProcessorId, Scope, TaskError, Topology, WorkerId};
use poniard_pool::AnyDatum;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known of a shard's pieces without their type.
pub(crate) struct Pieces {
    pieces: Mutex<Vec<(Home, Arc<dyn AnyDatum>)>>,
    /// Where those who come later get pieces, if they do.
    growth: Option<Growth>,
    next: AtomicUsize,
}

/// Pieces for workers or processors that come later.
pub(crate) struct Growth {
    /// Whose processors get some.
    pub(crate) within: Scope,
    /// Whether each processor gets its own.
    pub(crate) per_thread: bool,
    /// Whether they can be made on other workers than the shard's maker.
    pub(crate) is_made_anywhere: bool,
    /// Makes one, or finds it if it was made meanwhile, and waits for it.
    pub(crate) make: Box<dyn Fn(Home) -> Result<Box<dyn AnyDatum>, TaskError> + Send + Sync>,
}

/// Whose a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Home {
    Worker(WorkerId),
    Processor(ProcessorId),
}

/// The piece of a processor.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Piece {
    /// It is there, at this place.
    Made(usize),
    /// It is made when it is first used.
    Due(Home),
}

impl Home {
    /// Where that is.
    pub(crate) fn scope(self) -> Scope {
        match self {
            Home::Worker(worker) => Scope::worker(worker),
            Home::Processor(processor) => Scope::exact(processor),
        }
    }
}

impl Pieces {
    pub(crate) fn new(pieces: Vec<(Home, Arc<dyn AnyDatum>)>, growth: Option<Growth>) -> Pieces {
        Pieces { pieces: Mutex::new(pieces), growth, next: AtomicUsize::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Home, Arc<dyn AnyDatum>)>> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The piece of this processor, or else of its worker.
    pub(crate) fn piece_of(&self, processor: &Processor, topology: &Topology) -> Option<Piece> {
        let (worker, own) = (Home::Worker(processor.id.worker), Home::Processor(processor.id));
        let pieces = self.lock();
        let made = |home: Home| pieces.iter().position(|(other, _)| *other == home);
        if let Some(piece) = made(own).or_else(|| made(worker)) {
            return Some(Piece::Made(piece));
        }
        let growth = self.growth.as_ref().filter(|growth| growth.is_made_anywhere)?;
        let is_within = growth.within.contains(processor, topology);
        is_within.then_some(Piece::Due(if growth.per_thread { own } else { worker }))
    }

    /// How many tasks of this process use the piece or wait for it.
    pub(crate) fn users(&self, piece: Piece) -> usize {
        match piece {
            Piece::Made(place) => self.lock()[place].1.users(),
            Piece::Due(_) => 0,
        }
    }

    /// The piece, which is made if it is due.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub(crate) fn datum(&self, piece: Piece) -> Result<Arc<dyn AnyDatum>, TaskError> {
        match (piece, &self.growth) {
            (Piece::Made(place), _) => Ok(self.lock()[place].1.clone()),
            (Piece::Due(home), Some(growth)) => Ok(self.add(home, (growth.make)(home)?.into())),
            (Piece::Due(_), None) => unreachable!("pieces are due where there is growth"),
        }
    }

    /// There is this piece; gives it, or the one that was known before.
    pub(crate) fn add(&self, home: Home, datum: Arc<dyn AnyDatum>) -> Arc<dyn AnyDatum> {
        let mut pieces = self.lock();
        if let Some((_, known)) = pieces.iter().find(|(other, _)| *other == home) {
            return known.clone();
        }
        pieces.push((home, datum.clone()));
        datum
    }

    /// All that are known.
    pub(crate) fn all(&self) -> Vec<(Home, Arc<dyn AnyDatum>)> {
        self.lock().clone()
    }

    /// How many are known.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// How more are made, if they are.
    pub(crate) fn growth(&self) -> Option<&Growth> {
        self.growth.as_ref()
    }

    /// A number that is one more each time.
    pub(crate) fn next(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// Where the pieces are, and why there are no more.
impl fmt::Display for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |(home, _): &(Home, Arc<dyn AnyDatum>)| match home {
            Home::Worker(worker) => worker.to_string(),
            Home::Processor(processor) => processor.to_string(),
        };
        let homes: Vec<String> = self.lock().iter().map(words).collect();
        write!(f, "pieces for {} only", homes.join(", "))?;
        match self.growth.as_ref().is_some_and(|growth| !growth.is_made_anywhere) {
            true => f.write_str(
                " (its expression has captures, so those who come later get none; declare them: `shard!(x = x.clone() => f(x))`)",
            ),
            false => Ok(()),
        }
    }
}
