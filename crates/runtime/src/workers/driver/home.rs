//! Tasks of this process that come home: to run here after all, or with how they ended elsewhere.

use super::{Core, Input};
use crate::workers::guests::Ended;
use poniard_model::{Cause, TaskId, WorkerId};
use poniard_sched::Ending;
use std::time::Instant;

impl Core {
    /// Runs a task of ours in the pool after all.
    pub(super) fn run_here(&mut self, task: TaskId, attempt: u32) {
        if self.trips.is_resting(task) {
            return self.make_here(task);
        }
        let Some(away) = self.trips.end(task) else { return };
        let (handle, tell) = (away.handle(), self.exits.tell);
        away.set_begun(attempt.saturating_sub(1));
        let (begun, ended) = (Instant::now(), handle.clone());
        handle.on_end(move || {
            let is_done = ended.error().is_none();
            tell(Input::EndedHere { task, is_done, ran: begun.elapsed() });
        });
        away.again();
    }

    /// A task of ours has ended elsewhere. Gives whether its result stays there, and somebody may want it.
    pub(super) fn complete(&mut self, task: TaskId, on: WorkerId, attempt: u32, ending: Ending) -> bool {
        if let (Some(Ended::Elsewhere), Ending::Made { bytes, .. }) = (&self.came_home, ending) {
            let Some(away) = self.trips.rest(task) else { return false };
            away.set_begun(attempt);
            return away.finish_there(bytes);
        }
        let Some(away) = self.trips.end(task) else { return false };
        away.set_begun(attempt);
        match self.came_home.take() {
            Some(Ended::Elsewhere) => {
                away.fail_for_good(on, Cause::scheduling("its result was left there, and it has none"));
            }
            Some(Ended::Made(value)) => away.finish(&value),
            // It was lent, and nobody knew: it runs again where its result can stay, like others of its kind from now on.
            Some(Ended::Stays(_)) if away.scope().is_none() => {
                away.handle().site().must_stay();
                away.again();
            }
            Some(Ended::Stays(why)) => away.fail_for_good(on, Cause::scheduling(why)),
            Some(Ended::Failed(told, tried)) => {
                if away.is_tried_there() {
                    away.set_begun(tried);
                }
                let build = self.builds.get(&on).copied();
                away.fail(on, told.into_cause(&|number| build.and_then(|build| build.site(number))));
            }
            // Cancelled, by whoever has ended it already.
            None => drop(away),
        }
        false
    }
}
