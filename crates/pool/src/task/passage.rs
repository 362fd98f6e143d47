//! Data on their way to other processes and from them: not the values, which stay, but what stands for them.

use super::datum::{Datum, WeakDatum};
use super::foreign::{Foreign, Ticket, UNCOUNTED, with_known};
use crate::border::{Border, Origin};
use poniard_model::TaskId;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A datum that travels beside the bytes of the value that holds it, or is used by a task that goes to it.
pub struct DatumTraveller {
    datum: Box<dyn Any + Send + Sync>,
    lives: Whereabouts,
}

/// Where a datum lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// In this process, under this number.
    Here(TaskId),
    /// In another one.
    There(Origin),
}

/// A datum of another process that has come: whoever reads it knows its type.
pub struct DatumStranger {
    origin: Origin,
    /// It is no more, though its worker is there.
    is_lost: bool,
    /// Until it is met, and goes with what stands for the datum here.
    ticket: Mutex<Option<Ticket>>,
}

impl DatumTraveller {
    /// Of this datum; `new` makes a number where it needs one.
    pub(crate) fn of<T: Send + Sync + 'static>(
        datum: &Datum<T>,
        new: impl FnOnce() -> TaskId,
    ) -> DatumTraveller {
        let lives = match datum.foreign() {
            // What is lost travels as one that has failed here: its home is not there to be asked.
            Some(foreign) if foreign.lost().is_none() => Whereabouts::There(foreign.origin()),
            _ => Whereabouts::Here(datum.number(new)),
        };
        DatumTraveller { datum: Box::new(datum.clone()), lives }
    }

    /// Of a datum that lives in another process, on the way to it.
    pub(super) fn going_home<T: Send + Sync + 'static>(datum: &Datum<T>) -> Option<DatumTraveller> {
        let lives = Whereabouts::There(datum.foreign()?.origin());
        Some(DatumTraveller { datum: Box::new(datum.clone()), lives })
    }

    /// Where it lives.
    pub fn lives(&self) -> Whereabouts {
        self.lives
    }

    /// The datum, if its value is a `T`.
    pub fn datum<T: Send + Sync + 'static>(&self) -> Option<Datum<T>> {
        self.datum.downcast_ref::<Datum<T>>().cloned()
    }
}

impl DatumStranger {
    /// A handle of this datum that has come, and counts as one until `border` is told that it is dropped.
    pub fn new(origin: Origin, border: Arc<dyn Border>) -> DatumStranger {
        DatumStranger { origin, is_lost: false, ticket: Mutex::new(Some(Ticket::new(origin, border))) }
    }

    /// The same of a datum that is no more, though its worker is there.
    #[must_use]
    pub fn lost(self) -> DatumStranger {
        DatumStranger { is_lost: true, ..self }
    }

    /// Where it lives.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// What stands here for the datum, whose value is a `T`: the same as before if there is something. `lives` is what its owner has
    /// to say of its place. `None` when it is of another type.
    pub fn meet<T: Send + Sync + 'static>(
        &self,
        lives: Option<Arc<dyn Any + Send + Sync>>,
    ) -> Option<Datum<T>> {
        with_known(|known| {
            if let Some(weak) = known.find(self.origin)
                && let Some(datum) = weak.downcast_ref::<WeakDatum<T>>()?.upgrade()
            {
                return Some(datum);
            }
            let ticket = self.ticket.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            let foreign = Foreign::new(self.origin, ticket);
            if self.is_lost {
                foreign.lose(UNCOUNTED);
            }
            let datum = Datum::elsewhere(foreign.clone(), lives);
            known.add(&foreign, Box::new(datum.downgrade()));
            Some(datum)
        })
    }
}

impl fmt::Debug for DatumTraveller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatumTraveller({:?})", self.lives)
    }
}

impl fmt::Debug for DatumStranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatumStranger({:?})", self.origin)
    }
}
