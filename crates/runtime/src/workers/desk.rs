//! Where values are packed for other workers, and opened that come from them.

use super::driver::Input;
use super::handles::Handles;
use super::leases::Leases;
use super::results::Results;
use crate::message::Bytes;
use poniard_model::codec::Encoded;
use poniard_model::{TaskId, WorkerId};
use poniard_pool::travel::{Origin, Piece, find_remote};
use std::io;

/// What goes with values, and has to be known of them while they are elsewhere: memory, and handles.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) leases: Leases,
    pub(crate) handles: Handles,
    pub(crate) results: Results,
    tell: fn(Input),
}

impl Desk {
    pub(crate) fn new(me: WorkerId, tell: fn(Input)) -> Desk {
        Desk { leases: Leases::new(me), handles: Handles::new(me, tell), results: Results::default(), tell }
    }

    /// A value for another worker.
    pub(crate) fn pack(&mut self, value: &Encoded, to: WorkerId) -> Bytes {
        self.leases.pack(value, to).with_handles(self.handles.send(value.things(), to))
    }

    /// A value that another worker has packed.
    ///
    /// # Errors
    /// [`NotFound`](io::ErrorKind::NotFound) when that worker's process is gone; else what the kernel says.
    pub(crate) fn open(&mut self, mut value: Bytes, from: WorkerId) -> io::Result<Encoded> {
        let things = self.handles.receive(value.take_handles());
        let tell = self.tell;
        let over = move |lease| tell(Input::ReadNoMore { owner: from, lease });
        Ok(self.leases.open(value, from, over)?.with_things(things))
    }

    /// The result of a task of `owner`, which that one says is `at` some worker.
    pub(crate) fn result(&self, owner: WorkerId, task: TaskId, name: &str, at: WorkerId) -> Piece {
        let made = self.results.find(owner, task).cloned();
        let own = || find_remote(task).filter(|_| owner == poniard_pool::me());
        match made.or_else(own) {
            Some(made) => Piece::Here(made),
            None => Piece::Absent(self.handles.visitor(Origin { owner, task }, name, at).into()),
        }
    }

    /// A worker is gone, or out of reach for good: this became of it.
    pub(crate) fn lose(&mut self, worker: WorkerId, how: &str, is_cut_off: bool) {
        self.leases.lose(worker, is_cut_off);
        self.results.lose(worker);
        self.handles.lose(worker, how);
    }
}
