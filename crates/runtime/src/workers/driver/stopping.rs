//! Guests that are told to stop, and what is done about those that do not.

use super::Core;
use crate::message::Message;
use poniard_model::{TaskId, WorkerId};
use poniard_pool::AnyHandle;
use poniard_sched::{Event, Sending};

impl Core {
    /// Tells a guest to stop; says so at once if it has not begun.
    pub(super) fn stop(&mut self, owner: WorkerId, task: TaskId) -> Option<Event> {
        if owner == self.me.worker.id {
            return None;
        }
        let key = (owner, task);
        if let Some((sending, _)) = self.watched.remove(key) {
            return Some(Event::Stopped { owner, sending });
        }
        let (sending, guest) = self.guests.remove(key)?;
        // One that could not begin has ended, and that is about to be told.
        let Some(guest) = guest else { return Some(Event::Stopped { owner, sending }) };
        // Its end, which may come at once, finds it here.
        self.stopping.insert((owner, sending), guest.clone());
        guest.cancel();
        None
    }

    /// Has worker 1 end this process: a guest keeps a processor long after it was cancelled.
    pub(super) fn perish(&mut self) {
        let stuck = |(_, guest): &(&(WorkerId, Sending), &AnyHandle)| guest.keeps_processor();
        for ((owner, sending), guest) in self.stopping.iter().filter(stuck) {
            let (me, name, site) = (self.me.worker.id, guest.name(), guest.site());
            let task = sending.task;
            eprintln!(
                "{me} is ended: {owner}'s task `{name}` ({task}, {site}) was cancelled, and does not return"
            );
        }
        self.post.send(WorkerId::FIRST, Message::Perish);
    }
}
