//! What must hold after every event.

use super::Lane;
use super::task::Stage;
use super::{ChunkId, Orders, Policy, Spill, State, Sums, TaskId};

impl Policy {
    /// Compares the whole state with itself. Costs time in the number of chunks and tasks: for tests.
    ///
    /// # Panics
    /// When an invariant is broken.
    pub fn check(&self) {
        self.check_sums();
        self.chunks.keys().for_each(|id| self.check_chunk(*id));
        self.tasks.keys().for_each(|id| self.check_task(*id));
        self.check_counts();
        assert!(self.used() <= self.ceiling, "{} bytes in use, at most {}", self.used(), self.ceiling);
        assert!(self.limits.budget <= self.ceiling);
        assert!(self.sums.stored <= self.limits.spill, "the spill limit holds");
    }

    fn check_sums(&self) {
        let (mut sums, mut orders) = (Sums::default(), Orders::default());
        for (id, chunk) in &self.chunks {
            let seat = chunk.seat(*id);
            assert_eq!(seat, chunk.seat, "{id} has its place");
            sums.held += seat.held;
            sums.leaving += seat.leaving;
            sums.ahead += seat.ahead;
            sums.stored += seat.stored;
            orders.victims.extend(seat.victim);
            orders.cold.extend(seat.cold.map(|next| (next, *id)));
            orders.copies.extend(seat.copy.map(|next| (next, *id)));
        }
        assert_eq!(sums, self.sums);
        assert_eq!(orders, self.orders);
    }

    fn check_chunk(&self, id: ChunkId) {
        let chunk = &self.chunks[&id];
        if chunk.spill == Spill::Never {
            assert!(
                matches!(chunk.state, State::Resident { stored: None } | State::Unmade),
                "{id} never spills"
            );
        }
        if chunk.spill == Spill::Remade {
            assert!(
                !matches!(
                    chunk.state,
                    State::Spilling { .. } | State::OnDisk { .. } | State::Restoring { .. }
                ),
                "{id} is made again instead"
            );
        }
        if chunk.is_over() {
            assert!(chunk.is_doomed, "{id} is wanted by nobody and has not gone");
        }
        if chunk.is_doomed {
            let is_under_way = matches!(
                chunk.state,
                State::Spilling { .. } | State::Restoring { begun: true, .. } | State::Remaking { .. }
            );
            assert!(is_under_way && chunk.is_over(), "{id} goes when its transfer ends");
        }
        if let State::Restoring { begun: false, .. } = &chunk.state {
            assert!(self.reads.contains(&id), "{id} will be read");
        }
        if let State::Restoring { waiters, .. } | State::Remaking { waiters } = &chunk.state {
            for waiter in waiters {
                assert!(matches!(self.tasks[waiter].stage, Stage::Fetching(_)), "{waiter} waits for {id}");
            }
        }
        assert!(!matches!(chunk.state, State::Unmade) || !chunk.uses.is_empty(), "{id} is forgotten");
    }

    fn check_task(&self, id: TaskId) {
        let task = &self.tasks[&id];
        let (mut missing, mut remade) = (0, 0);
        for input in &task.inputs {
            let chunk = &self.chunks[input];
            assert!(chunk.uses.contains(id), "{id} is a use of {input}");
            assert!(!task.stage.pins() || chunk.pins > 0, "{id} holds {input}");
            match (&chunk.state, task.stage) {
                (_, Stage::Submitted | Stage::Queued | Stage::Head(_)) => {}
                (State::Restoring { waiters, .. } | State::Remaking { waiters }, Stage::Fetching(_)) => {
                    assert!(waiters.contains(&id), "{id} waits for {input}");
                    missing += 1;
                    remade += if matches!(chunk.state, State::Remaking { .. }) { chunk.bytes } else { 0 };
                }
                (State::Resident { .. } | State::Spilling { .. }, _) => {}
                (state, stage) => panic!("{input} is {state:?} while {id} is {stage:?}"),
            }
        }
        assert_eq!(task.reserved, if task.lane == Lane::Again { 0 } else { remade });
        match task.stage {
            Stage::Queued => assert!(self.queue.contains(&(task.lane, id))),
            Stage::Head(_) => assert_eq!(self.head, Some(id)),
            Stage::Fetching(expected) => assert!(expected == missing && missing > 0),
            _ => {}
        }
    }

    fn check_counts(&self) {
        let count = |is: fn(&Stage) -> bool| self.tasks.values().filter(|task| is(&task.stage)).count();
        assert_eq!(self.active, count(|stage| matches!(stage, Stage::Fetching(_) | Stage::Running)));
        let on_processors = self.tasks.values().filter(|task| task.lane == Lane::Processor);
        let on_processors =
            on_processors.filter(|task| matches!(task.stage, Stage::Fetching(_) | Stage::Running));
        assert_eq!(self.on_processors, on_processors.count());
        assert_eq!(self.paused, count(|stage| matches!(stage, Stage::Paused(_))));
        assert_eq!(self.queue.len(), count(|stage| matches!(stage, Stage::Queued)));
        let admitted = self.tasks.values().filter(|task| task.is_admitted());
        let promised: u64 = admitted.map(|task| task.result + task.reserved).sum();
        assert_eq!(self.promised, promised);
        let is_under_way =
            |state: &State| matches!(state, State::Spilling { .. } | State::Restoring { begun: true, .. });
        let under_way = self.chunks.values().filter(|chunk| is_under_way(&chunk.state)).count();
        assert_eq!(self.transfers, under_way);
        assert!(self.transfers <= self.limits.transfers);
        let waits = self.head.is_some() || !self.queue.is_empty();
        assert!(!waits || self.active > 0 || self.transfers > 0, "somebody waits, and nothing will happen");
    }
}
