//! The last steps of a worker that leaves: its own tasks end, what they made is with those who have handles of them, and all have said
//! that they have heard everything. Pure: time and answers are arguments.

use poniard_model::WorkerId;
use std::collections::BTreeSet;
use std::time::Duration;

/// Between looks whether the own tasks have ended.
const PAUSE: Duration = Duration::from_millis(5);
/// How long the others may take to say that they have heard everything small; one that is stopped hears it when it goes on, or never. Who
/// has said that is there, and gets what is large: if the link to it breaks, it is gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the process is on its way out.
#[derive(Debug)]
pub(super) struct Departure {
    /// When something has to be done.
    pub(super) at: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its own tasks have not ended.
    Works,
    /// They have: what the last of them told the driver is worked off meanwhile.
    Ended,
    /// These have not said that they have heard everything of a kind.
    Asks(BTreeSet<(WorkerId, Kind)>),
}

/// What overtakes nothing of the same kind on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Small,
    Large,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing now.
    Rest,
    /// To ask everybody whether they have heard all that was said.
    Ask,
    /// To end this process.
    Go,
}

impl Departure {
    /// From now on.
    pub(super) fn new(now: Duration) -> Departure {
        Departure { at: now, state: State::Works }
    }

    /// The time has come. `is_done`: no task of this process is left; `others`: who is there.
    pub(super) fn on_time(&mut self, now: Duration, is_done: bool, others: &[WorkerId]) -> Step {
        self.at = now + PAUSE;
        match &self.state {
            // Somebody who answers has sent no task since: nothing of others comes any more.
            State::Asks(left) => {
                let is_there = |worker| !left.contains(&(worker, Kind::Small));
                let waits = left.iter().any(|(worker, _)| is_there(*worker));
                return if waits { Step::Rest } else { Step::Go };
            }
            _ if !is_done => self.state = State::Works,
            State::Works => self.state = State::Ended,
            State::Ended if others.is_empty() => return Step::Go,
            State::Ended => {
                let both = |worker: &WorkerId| [(*worker, Kind::Small), (*worker, Kind::Large)];
                self.state = State::Asks(others.iter().flat_map(both).collect());
                self.at = now + PATIENCE;
                return Step::Ask;
            }
        }
        Step::Rest
    }

    /// A worker has heard everything of this kind.
    pub(super) fn heard(&mut self, worker: WorkerId, kind: Kind) -> Step {
        self.forget(|waits| waits == (worker, kind))
    }

    /// A worker is gone.
    pub(super) fn lose(&mut self, worker: WorkerId) -> Step {
        self.forget(|(waits, _)| waits == worker)
    }

    fn forget(&mut self, which: impl Fn((WorkerId, Kind)) -> bool) -> Step {
        let State::Asks(left) = &mut self.state else { return Step::Rest };
        left.retain(|waits| !which(*waits));
        if left.is_empty() { Step::Go } else { Step::Rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);
    const OTHERS: [WorkerId; 2] = [WorkerId(1), WorkerId(2)];

    #[test]
    fn it_goes_when_its_tasks_have_ended_and_all_have_heard_of_it() {
        let mut departure = Departure::new(NOW);
        assert_eq!(departure.on_time(NOW, false, &OTHERS), Step::Rest);
        assert_eq!(
            departure.on_time(NOW, true, &OTHERS),
            Step::Rest,
            "the last word of a task may be on its way"
        );
        assert_eq!(departure.on_time(NOW, true, &OTHERS), Step::Ask);
        assert_eq!(departure.heard(WorkerId(2), Kind::Small), Step::Rest);
        assert_eq!(departure.heard(WorkerId(2), Kind::Small), Step::Rest);
        assert_eq!(departure.lose(WorkerId(2)), Step::Rest);
        assert_eq!(departure.heard(WorkerId(1), Kind::Large), Step::Rest);
        assert_eq!(departure.heard(WorkerId(1), Kind::Small), Step::Go);
    }

    #[test]
    fn what_is_large_is_waited_for_as_long_as_who_gets_it_is_there() {
        let mut departure = Departure::new(NOW);
        departure.on_time(NOW, true, &OTHERS);
        assert_eq!(departure.on_time(NOW, true, &OTHERS), Step::Ask);
        // The other one is stopped, and says nothing.
        assert_eq!(departure.heard(WorkerId(1), Kind::Small), Step::Rest);
        for minutes in 1..5 {
            assert_eq!(departure.on_time(NOW + Duration::from_secs(60 * minutes), true, &OTHERS), Step::Rest);
        }
        assert_eq!(departure.heard(WorkerId(1), Kind::Large), Step::Rest);
        assert_eq!(departure.on_time(departure.at, true, &OTHERS), Step::Go);
    }

    #[test]
    fn a_task_that_comes_to_life_once_more_is_waited_for() {
        let mut departure = Departure::new(NOW);
        for is_done in [true, false, true, false] {
            assert_eq!(departure.on_time(NOW, is_done, &OTHERS), Step::Rest);
        }
        assert!(departure.at > NOW);
    }

    #[test]
    fn it_does_not_wait_for_ever_and_for_nobody_if_it_is_alone() {
        let mut departure = Departure::new(NOW);
        departure.on_time(NOW, true, &OTHERS);
        assert_eq!(departure.on_time(NOW, true, &OTHERS), Step::Ask);
        assert_eq!(departure.on_time(departure.at, true, &OTHERS), Step::Go);
        let mut alone = Departure::new(NOW);
        alone.on_time(NOW, true, &[]);
        assert_eq!(alone.on_time(NOW, true, &[]), Step::Go);
    }
}
