//! What must be true of every world, whatever happens in it.

use super::job::{Key, Outcome};
use super::world::{Happening, World};
use crate::event::Event;
use crate::failure::Failure;
use crate::life::Life;
use crate::message::{Ending, Rest};
use crate::scheduler::Why;
use poniard_model::TaskId;
use std::collections::VecDeque;

type Events = VecDeque<Event>;

/// A ready task and an idle worker that may run it do not stay apart for longer.
const APART_MAX_NS: u64 = 1_000_000_000;

/// The same where what they say may have to wait for the end of a cut and of a stop, and where a death may be silent.
const APART_BY_WIRE_MAX_NS: u64 = 10_000_000_000;

/// Nobody looks more often.
const WATCH_NS: u64 = 100_000_000;

/// A world in which nothing has ended by then hangs.
const END_NS: u64 = 300_000_000_000;

impl World {
    /// Runs to the end: everything has ended, and the user has seen what there is to see.
    pub(super) fn run(&mut self) {
        self.at(WATCH_NS, Happening::Watch);
        while self.unended > 0 {
            assert!(self.step() && self.now < END_NS, "hangs: {}", self.who_waits());
        }
        self.ended_at = self.now;
        let kept: Vec<Key> = self
            .truths
            .iter()
            .filter(|(_, truth)| truth.job.is_kept && truth.outcome == Some(Outcome::Made))
            .map(|(key, _)| *key)
            .collect();
        self.fetching.extend(kept.iter().filter(|(owner, _)| !self.over.contains(owner)));
        for key in kept {
            let mut events = Events::new();
            let located = self.truths[&key].located.clone();
            self.look_at(key, &located, &mut events);
            self.tell_all(key.0, events);
        }
        while !self.fetching.is_empty() {
            assert!(self.step() && self.now < END_NS, "cannot be looked at: {:?}", self.fetching);
        }
        self.assert_all_is_over();
    }

    /// The user looks at a result.
    pub(super) fn look_at(&mut self, key: Key, located: &[Life], events: &mut Events) {
        if !self.fetching.contains(&key) {
            return;
        }
        let has = |life: &Life| self.truths[&key].copies.contains(life);
        if located.iter().any(has) {
            self.fetching.remove(&key);
        } else {
            let (owner, result, tried) = (key.0.worker, key.1, located.to_vec());
            events.push_back(Event::Missing { owner, result, tried });
        }
    }

    /// The promise of a task is completed by its scheduler.
    pub(super) fn completed(
        &mut self,
        at: Life,
        task: TaskId,
        ending: Ending,
        on: Life,
        attempt: u32,
        events: &mut Events,
    ) {
        let key = (at, task);
        let truth = &self.truths[&key];
        assert!(truth.starts <= attempt, "{key:?} began {} times, {attempt} were told", truth.starts);
        let most = 1 + truth.deaths + truth.spared + truth.losses;
        assert!(attempt <= most, "{key:?} took {attempt} attempts, and {most} had a reason");
        let outcome = match ending {
            Ending::Made { rest, .. } => {
                assert!(truth.starts > 0, "{key:?} was made by nobody");
                let holder = match rest {
                    Rest::Rides => at,
                    Rest::Stays => on,
                };
                self.stored(key, holder);
                Outcome::Made
            }
            Ending::Failed => {
                self.assert_may_be_lost(&key);
                Outcome::Failed
            }
            Ending::Cancelled => {
                assert!(truth.was_cancelled, "{key:?} was not cancelled");
                Outcome::Cancelled
            }
        };
        self.end(key, outcome, events);
    }

    /// A task has ended, as its user sees it: once.
    pub(super) fn end(&mut self, key: Key, outcome: Outcome, events: &mut Events) {
        let mut left = vec![(key, outcome)];
        while let Some((key, outcome)) = left.pop() {
            let truth = self.truths.get_mut(&key).expect("every task is known");
            assert_eq!(truth.outcome, None, "{key:?} ends once, and not as {outcome:?}");
            let is_made = outcome == Outcome::Made;
            truth.outcome = Some(outcome.clone());
            self.unended -= 1;
            self.assert_is_fair(&key, &outcome);
            for reader in self.truths[&key].readers.clone() {
                let reader = (key.0, reader);
                let truth = self.truths.get_mut(&reader).expect("every task is known");
                if !is_made && truth.outcome.is_none() && !left.iter().any(|(other, _)| *other == reader) {
                    left.push((reader, Outcome::Upstream));
                } else if is_made {
                    truth.missing -= 1;
                    if truth.missing == 0 && truth.outcome.is_none() {
                        self.make_ready(reader, events);
                    }
                }
            }
            let reads = self.truths[&key].job.reads.clone();
            for task in reads.into_iter().chain([key.1]) {
                self.at(self.now, Happening::TryRelease { owner: key.0, task });
            }
            self.end_child(&key);
        }
    }

    /// A task of fib has ended, and perhaps with it the one that waits for it.
    fn end_child(&mut self, key: &Key) {
        let Some(parent) = self.truths[key].parent else { return };
        let Some(machine) = self.machine(key.0) else { return };
        let Some(running) = machine.running.get_mut(&parent) else { return };
        running.children -= 1;
        if running.children == 0 {
            let (run, at) = (running.run, key.0);
            machine.busy += 1;
            self.truths.get_mut(&parent).unwrap().job.fork = None;
            self.truths.get_mut(&parent).unwrap().job.run_ns = 0;
            self.at(self.now, Happening::RunEnds { at, key: parent, run });
        }
    }

    fn assert_is_fair(&self, key: &Key, outcome: &Outcome) {
        let truth = &self.truths[key];
        match outcome {
            Outcome::Refused(Failure::WorkerLost { deaths }) => {
                assert!(truth.deaths >= deaths.len() as u32, "{key:?} was with {} who died", truth.deaths);
                assert!(deaths.len() >= 2, "{deaths:?}");
                assert!(truth.job.kills || truth.deaths >= 2, "{key:?} is no killer");
            }
            Outcome::Refused(Failure::StateLost { on }) => {
                assert!(truth.job.pinned == Some(*on) && self.over.contains(on), "{key:?}");
            }
            Outcome::Refused(Failure::InputLost { input }) => self.assert_may_be_lost(&(key.0, *input)),
            Outcome::Refused(Failure::NoProcessor { .. } | Failure::NoWorkers { .. }) => {
                // The home of what it reads has been leaving for so long.
                let home_leaves = truth.job.pinned.is_some_and(|home| self.leaving.contains(&home));
                let known = self.machines[&key.0.worker].scheduler.topology();
                let scope = truth.job.scope.as_ref();
                let fits_none = scope.is_some_and(|scope| scope.processors(known).is_empty());
                assert!(fits_none || home_leaves, "{key:?} fits somewhere");
            }
            _ => {}
        }
    }

    /// A result that was made may be lost for good only if it cannot be made again, and nobody said that it can.
    pub(super) fn assert_may_be_lost(&self, key: &Key) {
        let mut left = vec![*key];
        while let Some(key) = left.pop() {
            let truth = &self.truths[&key];
            let is_homeless = truth.job.scope.as_ref().is_some_and(|scope| self.fits_nobody(scope));
            let is_stateless = truth.job.pinned.is_some_and(|life| self.over.contains(&life));
            let is_ownerless = self.over.contains(&key.0);
            if is_ownerless || truth.deaths >= 2 || is_homeless || is_stateless || truth.job.kills {
                return;
            }
            left.extend(truth.job.reads.iter().map(|task| (key.0, *task)));
        }
        panic!("{key:?} could be made again");
    }

    /// A task may begin there now.
    pub(super) fn assert_may_run(&self, at: Life, key: &Key) {
        assert!(self.fits(key, at.worker), "{key:?} must not run on {at:?}");
        let truth = &self.truths[key];
        // The word that it is cancelled may come after it.
        assert!(!truth.is_forgotten || truth.was_cancelled, "{key:?} was forgotten");
        let survivors: Vec<&Life> =
            truth.copies.iter().filter(|life| self.machines.contains_key(&life.worker)).collect();
        assert!(survivors.is_empty(), "{key:?} runs again while {survivors:?} has its result");
        let is_running = |machine: &&super::machine::Machine| machine.running.contains_key(key);
        let twin = self.machines.values().find(is_running).map(|machine| machine.life);
        assert_eq!(twin, None, "{key:?} runs on {at:?} too");
    }

    /// Nobody has a handle of a result any more, if that is so.
    pub(super) fn try_release(&mut self, owner: Life, task: TaskId) {
        let key = (owner, task);
        let truth = &self.truths[&key];
        let has_ended = |task: &TaskId| self.truths[&(owner, *task)].outcome.is_some();
        let is_used = truth.outcome.is_none() || !truth.readers.iter().all(has_ended);
        if truth.job.is_kept || truth.is_released || is_used {
            return;
        }
        let Some(machine) = self.machines.get(&owner.worker).filter(|machine| machine.life == owner) else {
            return;
        };
        // A task that is made again has a handle of what it reads.
        let is_idle = |task: &TaskId| {
            let why = machine.scheduler.explain(self.time(), *task);
            matches!(why, Why::Unknown | Why::Made { .. } | Why::Lost | Why::Forgotten)
        };
        // A spec keeps what it reads of results that never left their process, for the scheduler cannot have them made again.
        let is_unknown = |task: &TaskId| machine.scheduler.explain(self.time(), *task) == Why::Unknown;
        let is_kept_by_specs = is_unknown(&task) && !truth.readers.iter().all(is_unknown);
        if is_kept_by_specs || !truth.readers.iter().chain([&task]).all(is_idle) {
            return self.at(self.now + 10_000_000, Happening::TryRelease { owner, task });
        }
        let is_told = !is_unknown(&task);
        let truth = self.truths.get_mut(&key).expect("just seen");
        truth.is_released = true;
        truth.copies.clear();
        // Nothing is told of tasks that stayed in their process.
        if is_told {
            self.tell(owner, Event::Released(task));
        }
    }

    /// No ready task and idle worker that may run it stay apart.
    pub(super) fn watch(&mut self) {
        let apart_max = if self.wire.is_some() { APART_BY_WIRE_MAX_NS } else { APART_MAX_NS };
        let long_ago = self.now.saturating_sub(apart_max);
        let is_idle = |since: Option<u64>| since.is_some_and(|since| since < long_ago);
        let is_here =
            |machine: &&super::machine::Machine| !machine.frozen && !self.leaving.contains(&machine.life);
        let idle = self.machines.values().filter(is_here).filter(|machine| is_idle(machine.idle_since));
        let idle: Vec<Life> = idle.map(|machine| machine.life).collect();
        for machine in self.machines.values().filter(|machine| !machine.frozen) {
            for queued in machine.own.iter().chain(&machine.foreign).filter(|queued| queued.since < long_ago)
            {
                let truth = &self.truths[&queued.key];
                let owner = self.machines.get(&queued.key.0.worker);
                let is_stuck = owner.is_none_or(|owner| owner.frozen) || truth.deaths > 0;
                let apart = idle.iter().find(|life| self.fits(&queued.key, life.worker));
                assert!(
                    is_stuck || apart.is_none(),
                    "{:?} waits on {:?} while {apart:?} is idle",
                    queued.key,
                    machine.life
                );
            }
        }
        if self.unended > 0 {
            self.at(self.now + WATCH_NS, Happening::Watch);
        }
    }

    fn who_waits(&self) -> String {
        let mut words = format!("{} tasks at {} ms", self.unended, self.now / 1_000_000);
        for ((owner, task), _) in self.truths.iter().filter(|(_, truth)| truth.outcome.is_none()).take(10) {
            let why =
                self.machines.get(&owner.worker).map(|machine| machine.scheduler.explain(self.time(), *task));
            let why = why.map_or("has no owner".to_owned(), |why| why.to_string());
            words += &format!("; {owner}'s {task} {why}");
        }
        words
    }

    /// Nothing is left behind when everything has ended.
    fn assert_all_is_over(&mut self) {
        for machine in self.machines.values() {
            machine.scheduler.check();
            assert!(machine.running.keys().all(|(owner, _)| self.over.contains(owner) || self.now < END_NS));
        }
    }
}
