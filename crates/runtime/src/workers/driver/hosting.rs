//! Guests: their begin and their end, those that are told to stop, and what is done about those that do not.

use super::{Core, Hosted, Input};
use crate::code::SameBuild;
use crate::message::Message;
use crate::workers::guests::{self, Ended, Guest};
use poniard_model::{ProcessorKind, TaskId, WorkerId};
use poniard_pool::AnyHandle;
use poniard_sched::{Ending, Event, Order, Rest, Sending};
use std::collections::VecDeque;
use std::time::Duration;

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
        let own = (owner == self.me.worker.id).then(SameBuild::of_this);
        let Some(build) = own.or_else(|| self.builds.get(&owner).copied()) else { return };
        let reply = move |ran, outcome| tell(Input::Ended { owner, sending, ran, outcome });
        let (rest, task) = (guest.rest(), guests::launch(build, guest, reply));
        self.guests.insert((owner, sending.task), Hosted { sending, task, rest });
    }

    pub(super) fn on_ended(&mut self, owner: WorkerId, sending: Sending, ran: Duration, outcome: Ended) {
        if self.stopping.remove(&(owner, sending)).is_some() {
            self.tell(Event::Stopped { owner, sending });
        }
        let key = (owner, sending.task);
        // One that was withdrawn or stopped meanwhile is nobody's, and there may be a later sending of the same task, begun or not.
        if self.guests.get(key).is_none_or(|current| current.sending != sending) {
            return;
        }
        let hosted = self.guests.remove(key);
        let (outcome, ending) = match outcome {
            Ended::Made(value) => {
                let bytes = value.total_bytes() as u64;
                match hosted.filter(|hosted| self.rests(owner, hosted, &value)).and_then(|hosted| hosted.task)
                {
                    Some(made) => {
                        self.desk.results.keep(owner, sending.task, made);
                        (Ended::Elsewhere, Ending::Made { bytes, rest: Rest::Stays })
                    }
                    None => (Ended::Made(value), Ending::Made { bytes, rest: Rest::Rides }),
                }
            }
            outcome => (outcome, Ending::Failed),
        };
        self.outcomes.insert(key, outcome);
        let (task, kind) = (sending.task, ProcessorKind::Cpu);
        self.tell(Event::Finished { owner, task, ending, ran, kind });
        self.outcomes.remove(key);
    }

    /// Gives whether the task has not begun; it does not then.
    pub(super) fn withdraw(&mut self, owner: WorkerId, task: TaskId) -> bool {
        let key = (owner, task);
        if self.withdraw_far(owner, task).is_some() || self.watched.remove(key).is_some() {
            return true;
        }
        let guest = self.guests.get(key).and_then(|hosted| hosted.task.as_ref());
        let is_out = guest.is_some_and(AnyHandle::withdraw);
        is_out && self.guests.remove(key).is_some()
    }

    /// Tells a guest to stop; says so at once if it has not begun.
    pub(super) fn stop(&mut self, owner: WorkerId, task: TaskId) -> Option<Event> {
        if owner == self.me.worker.id {
            return None;
        }
        let key = (owner, task);
        let waits = self.withdraw_far(owner, task);
        if let Some(sending) = waits.or_else(|| self.watched.remove(key).map(|(sending, _)| sending)) {
            return Some(Event::Stopped { owner, sending });
        }
        let Hosted { sending, task: guest, .. } = self.guests.remove(key)?;
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
