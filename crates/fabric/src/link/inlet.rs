//! The receiving half of a lane: which frame comes next.

use poniard_model::planted;

/// What a frame is to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is the next one.
    Next,
    /// It came before.
    Again,
    /// One before it is missing, or it is not wanted yet. It will be sent again, so it need not be kept.
    Early,
}

/// The numbers that have come, and those that may.
#[derive(Debug)]
pub(crate) struct Inlet {
    wanted: u64,
    limit: u64,
}

impl Inlet {
    /// Nothing has come, and the frames before `limit` may.
    pub(crate) fn new(limit: u64) -> Inlet {
        Inlet { wanted: 0, limit }
    }

    /// A frame came.
    pub(crate) fn arrive(&mut self, number: u64) -> Arrival {
        let is_taken_twice = planted!(duplicate_accepted) && number + 1 == self.wanted;
        let is_taken_early = planted!(gap_accepted) && number > self.wanted;
        if number < self.wanted && !is_taken_twice {
            return Arrival::Again;
        }
        if (number > self.wanted && !is_taken_early) || number >= self.limit {
            return Arrival::Early;
        }
        self.wanted = number + 1;
        Arrival::Next
    }

    /// One more may come.
    ///
    /// # Panics
    /// When more is allowed than came.
    pub(crate) fn allow_one_more(&mut self, ahead: u64) {
        assert!(self.limit < self.wanted + ahead, "nothing that came is still to be taken");
        self.limit += 1;
    }

    /// The number of the next frame.
    pub(crate) fn wanted(&self) -> u64 {
        self.wanted
    }

    /// The first number that may not come yet.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }
}
