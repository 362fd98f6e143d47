//! Tasks of other workers that begin here, and that are called back.

use super::{Core, Input};
use crate::workers::guests::{self, Guest};
use poniard_model::{TaskId, WorkerId};
use poniard_pool::AnyHandle;
use poniard_sched::{Event, Order, Sending};
use std::collections::VecDeque;

impl Core {
    /// Begins with a task whose arguments are here.
    pub(super) fn begin_guest(
        &mut self,
        owner: WorkerId,
        order: &Order,
        guest: Guest,
        events: &mut VecDeque<Event>,
    ) {
        let sending = order.sending;
        if order.is_watched {
            // It may take this process with it: its owner has to know before that it began.
            self.watched.insert((owner, sending.task), (sending, guest));
            events.push_back(Event::Started { owner, task: sending.task });
        } else {
            self.host(owner, sending, guest);
        }
    }

    /// Runs a task of another worker.
    pub(super) fn host(&mut self, owner: WorkerId, sending: Sending, guest: Guest) {
        let tell = self.exits.tell;
        let Some(build) = self.builds.get(&owner).copied() else { return };
        let reply = move |ran, outcome| tell(Input::Ended { owner, sending, ran, outcome });
        let guest = guests::launch(build, guest, reply);
        self.guests.insert((owner, sending.task), (sending, guest));
    }

    /// Gives whether the task has not begun; it does not then.
    pub(super) fn withdraw(&mut self, owner: WorkerId, task: TaskId) -> bool {
        let key = (owner, task);
        if self.withdraw_far(owner, task) || self.watched.remove(key).is_some() {
            return true;
        }
        let guest = self.guests.get(key).and_then(|(_, guest)| guest.as_ref());
        let is_out = guest.is_some_and(AnyHandle::withdraw);
        is_out && self.guests.remove(key).is_some()
    }
}
