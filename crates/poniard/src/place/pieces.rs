//! The pieces of a shard, whatever their type: whose they are, and how busy.

use poniard_model::topology::Processor;
use poniard_model::{ProcessorId, Scope, WorkerId};
use poniard_pool::AnyDatum;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is known of a shard's pieces without their type.
pub(crate) struct Pieces {
    pieces: Vec<(Home, Box<dyn AnyDatum>)>,
    next: AtomicUsize,
}

/// Whose a piece is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Home {
    Worker(WorkerId),
    Processor(ProcessorId),
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
    pub(crate) fn new(pieces: Vec<(Home, Box<dyn AnyDatum>)>) -> Pieces {
        Pieces { pieces, next: AtomicUsize::new(0) }
    }

    /// The piece of this processor, or else of its worker.
    pub(crate) fn piece_of(&self, processor: &Processor) -> Option<usize> {
        let piece_of = |home: Home| self.pieces.iter().position(|(other, _)| *other == home);
        piece_of(Home::Processor(processor.id)).or_else(|| piece_of(Home::Worker(processor.id.worker)))
    }

    /// How many tasks use the piece or wait for it.
    pub(crate) fn users(&self, piece: usize) -> usize {
        self.pieces[piece].1.users()
    }

    pub(crate) fn datum(&self, piece: usize) -> &dyn AnyDatum {
        &*self.pieces[piece].1
    }

    /// A number that is one more each time.
    pub(crate) fn next(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// Where the pieces are.
impl fmt::Display for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let homes: Vec<String> = self
            .pieces
            .iter()
            .map(|(home, _)| match home {
                Home::Worker(worker) => worker.to_string(),
                Home::Processor(processor) => processor.to_string(),
            })
            .collect();
        write!(f, "pieces for {} only", homes.join(", "))
    }
}
