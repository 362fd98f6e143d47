//! Tasks of this process that may leave it: those that must, and those that idle workers want.

use super::{Core, Input, PAUSE_FIRST, PAUSE_MAX};
use poniard_model::Cause;
use poniard_pool::travel::{self, Away};
use poniard_sched::{Event, Spec, Take};

impl Core {
    pub(super) fn on_leaves(&mut self, away: Away) {
        if away.is_over() {
            return drop(away);
        }
        match self.begin(away) {
            Ok(spec) => self.ready.push(spec),
            // It was to follow its inputs.
            Err((away, _)) if away.scope().is_none() => away.stay_for_good(),
            Err((away, why)) => away.fail_for_good(self.me.worker.id, Cause::scheduling(why)),
        }
    }

    /// Has those placed that are ready.
    pub(super) fn place(&mut self) {
        if !self.ready.is_empty() {
            let specs = std::mem::take(&mut self.ready);
            self.tell(Event::Ready { specs, queued: travel::ready() });
        }
    }

    /// Takes a task on, and hears of its cancel; or gives it back with the reason why it cannot go anywhere.
    pub(super) fn begin(&mut self, away: Away) -> Result<Spec, (Away, String)> {
        let handle = away.handle();
        let (task, tell) = (handle.id(), self.exits.tell);
        let spec = self.trips.begin(away, self.is_near, &self.scheduler)?;
        handle.on_abort(move || tell(Input::Cancel(task)));
        Ok(spec)
    }

    /// Takes tasks out of the pool for others. Gives what the scheduler is to be told of it.
    pub(super) fn take(&mut self, take: Take) -> Option<Event> {
        if take.to.is_empty() {
            self.standing = None;
            travel::want_work(false);
            return None;
        }
        let taken = travel::take(|ready| take.amount(ready), take.theirs);
        let mut specs = Vec::new();
        for away in taken {
            match self.begin(away) {
                Ok(spec) => specs.push(spec),
                Err((away, _)) => away.stay(),
            }
        }
        if specs.is_empty() {
            self.want(take);
        } else {
            (self.standing, self.pause) = (None, PAUSE_FIRST);
        }
        Some(Event::Offered { specs, queued: travel::ready() })
    }

    /// Has the pool say when there is work for others.
    pub(super) fn want(&mut self, take: Take) {
        self.standing = Some(take);
        if travel::ready() == 0 {
            self.pause = PAUSE_FIRST;
            return travel::want_work(true);
        }
        // There are tasks, and they cannot leave.
        self.wants_again_at = Some(self.began.elapsed() + self.pause);
        self.pause = (2 * self.pause).min(PAUSE_MAX);
    }

    pub(super) fn on_work(&mut self) {
        if let Some(take) = self.standing.take()
            && let Some(Event::Offered { specs, queued }) = self.take(take)
            && !specs.is_empty()
        {
            self.tell(Event::Offered { specs, queued });
        }
    }
}
