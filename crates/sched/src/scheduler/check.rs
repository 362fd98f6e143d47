//! What must hold after every event.

use super::Scheduler;
use super::balance::Taking;
use super::result::LINEAGE_MAX;
use crate::task::{State, Task};
use poniard_model::{TaskId, WorkerId};
use std::collections::BTreeMap;

impl Scheduler {
    /// Compares the whole state with itself. Costs time in the number of tasks: for tests.
    ///
    /// # Panics
    /// When an invariant is broken.
    pub fn check(&self) {
        self.tasks.iter().for_each(|(id, task)| self.check_task(id, task));
        self.check_uses();
        self.check_peers();
        self.check_waiting();
        self.check_balance();
        self.estimates.check();
    }

    fn check_task(&self, id: TaskId, task: &Task) {
        assert!(!task.is_over(), "{id} is needed by nobody and still there");
        match &task.state {
            State::Waiting { missing } => assert!(*missing > 0, "{id} waits for nothing"),
            State::Homeless { since } => assert!(self.homeless.contains(&(*since, id))),
            State::Quarantined => assert!(self.quarantined.contains(&id)),
            State::Here { .. } => assert!(!task.has_killed(), "{id} may kill"),
            State::Away(away) => {
                let peer = self.peers.get(&away.on).unwrap_or_else(|| panic!("{id} is with nobody"));
                assert_eq!(peer.sent.get(&away.place), Some(&id));
            }
            State::Made { holders } => {
                assert!(!holders.is_empty(), "{id} has no copy");
                for holder in holders.iter().filter(|holder| **holder != self.me()) {
                    let peer = self
                        .peers
                        .get(holder)
                        .unwrap_or_else(|| panic!("{id} is with {holder}, who is gone"));
                    assert!(peer.results.contains(&id));
                }
                assert!(task.is_wanted || task.unfinished_uses > 0, "{id} serves nobody");
            }
            State::Lost | State::Forgotten => {}
        }
        let is_kept = !task.is_wanted && task.state == State::Lost;
        assert_eq!(self.lineage.contains(&id), is_kept, "{id} is kept for others");
        assert!(task.is_unfinished() || (task.dependents.is_empty() && task.askers.is_empty()));
    }

    /// Each task counts those that read it.
    fn check_uses(&self) {
        let mut uses: BTreeMap<TaskId, (u32, u32)> = BTreeMap::new();
        for task in self.tasks.values() {
            for input in task.spec.reads() {
                let count = uses.entry(input).or_default();
                count.0 += 1;
                count.1 += u32::from(task.is_unfinished());
            }
        }
        for (id, task) in self.tasks.iter() {
            let counted = uses.get(&id).copied().unwrap_or_default();
            assert_eq!((task.uses, task.unfinished_uses), counted, "{id} knows who reads it");
        }
    }

    fn check_peers(&self) {
        for peer in self.peers.values() {
            let mut committed_ns = 0;
            for (place, id) in peer.sent.iter() {
                let State::Away(away) = &self.tasks[id].state else { panic!("{id} is not away") };
                assert_eq!((away.on, away.place), (peer.life.worker, place));
                committed_ns += away.expected_ns;
                let is_suspect = self.tasks[id].is_suspect();
                assert_eq!(is_suspect, peer.suspects.contains(id), "{id} is known to be a suspect");
            }
            assert_eq!(peer.committed_ns, committed_ns);
            let is_there = |id: &TaskId| matches!(&self.tasks[id].state, State::Away(away) if away.on == peer.life.worker);
            assert!(peer.suspects.iter().all(is_there));
            let is_apart = |id: &&TaskId| !self.tasks[id].is_awaited();
            assert!(peer.suspects.iter().filter(is_apart).count() <= 1, "suspects do not meet");
            for id in &peer.results {
                let State::Made { holders } = &self.tasks[id].state else { panic!("{id} is not made") };
                assert!(holders.contains(&peer.life.worker));
            }
            assert_eq!(self.topology().worker(peer.life.worker).is_none(), peer.is_leaving);
        }
        let staying = self.peers.values().filter(|peer| !peer.is_leaving).count();
        assert_eq!(self.topology().workers.len(), staying + 1);
        let is_owed =
            |who: &WorkerId| self.peers.get(who).is_some_and(|peer| peer.is_leaving && !peer.sent.is_empty());
        assert!(self.unparted.iter().all(is_owed), "who leaves is told at once that nothing is there");
        assert!(self.held.owners().all(|owner| self.peers.contains_key(&owner)), "owners are alive");
        assert!(self.needs.iter().all(|(owner, _)| self.peers.contains_key(owner)), "owners are alive");
    }

    fn check_waiting(&self) {
        for (since, id) in &self.homeless {
            assert_eq!(self.tasks[id].state, State::Homeless { since: *since });
        }
        for id in &self.quarantined {
            assert_eq!(self.tasks[id].state, State::Quarantined);
            let has_suspect = self.peers.values().any(|peer| !peer.suspects.is_empty());
            assert!(!self.tasks[id].is_awaited(), "{id} keeps others waiting");
            assert!(has_suspect, "{id} waits for the end of another");
        }
        assert!(self.homeless.is_empty() || self.wake.is_some(), "somebody will look after the homeless");
        assert!(self.lineage.len() <= LINEAGE_MAX);
        assert!(self.outbox.is_empty(), "everything was sent");
    }

    /// Whoever is idle will be served: the pool was asked, or this process looks again at a known time.
    fn check_balance(&self) {
        let is_hungry = self.peers.values().any(|peer| peer.hunger.is_some());
        assert!(!is_hungry || self.balance.taking != Taking::Nothing, "somebody is idle and nobody cares");
        let rests = matches!(self.balance.taking, Taking::Resting { .. });
        assert!(!rests || self.wake.is_some(), "a rest has an end");
    }
}
