//! What must hold after every event.

use super::Lane;
use super::task::{Stage, Task};
use super::{Chunk, ChunkId, Orders, Policy, Spill, State, Sums, TaskId};

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
            sums.copied += seat.copied();
            orders.victims.extend(seat.victim);
            orders.droppable.extend(seat.droppable);
            orders.cold.extend(seat.cold.map(|next| (next, *id)));
            orders.copies.extend(seat.copy.map(|next| (next, *id)));
        }
        assert_eq!(sums, self.sums);
        assert_eq!(orders, self.orders);
    }

    fn check_chunk(&self, id: ChunkId) {
        let chunk = &self.chunks[&id];
        assert!(!chunk.is_stalled || matches!(chunk.state, State::Restoring { begun: true, .. }));
        if chunk.is_remote {
            let is_elsewhere =
                matches!(chunk.state, State::OnDisk { stored: 0 } | State::Restoring { stored: 0, .. });
            assert!(is_elsewhere, "{id} is not here");
        } else if chunk.spill == Spill::Never {
            assert!(
                matches!(chunk.state, State::Resident { stored: None } | State::Unmade),
                "{id} never spills"
            );
        } else if chunk.spill == Spill::Remade {
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
        if let State::Restoring { waiters, .. } | State::Remaking { waiters, .. } = &chunk.state {
            for waiter in waiters {
                assert!(
                    matches!(self.tasks[waiter].stage, Stage::Fetching { .. }),
                    "{waiter} waits for {id}"
                );
            }
        }
        assert!(!matches!(chunk.state, State::Unmade) || !chunk.uses.is_empty(), "{id} is forgotten");
    }

    fn check_task(&self, id: TaskId) {
        let task = &self.tasks[&id];
        let (mut missing, mut remaking, mut reserved, mut need) = (0, 0, 0, task.result);
        for input in &task.inputs {
            let chunk = &self.chunks[input];
            assert!(chunk.uses.contains(id), "{id} is a use of {input}");
            assert!(!task.stage.pins() || chunk.pins > 0, "{id} holds {input}");
            need += chunk.missing_bytes();
            match (&chunk.state, task.stage) {
                (_, Stage::Submitted | Stage::Queued | Stage::Head(_) | Stage::Next) => {}
                (
                    State::Restoring { waiters, .. } | State::Remaking { waiters, .. },
                    Stage::Fetching { .. },
                ) => {
                    assert!(waiters.contains(&id), "{id} waits for {input}");
                    missing += 1;
                    if let State::Remaking { .. } = chunk.state {
                        remaking += 1;
                        reserved += chunk.bytes;
                    }
                    remaking += usize::from(chunk.is_stalled);
                }
                (State::Resident { .. } | State::Spilling { .. }, _) => {}
                (state, stage) => panic!("{input} is {state:?} while {id} is {stage:?}"),
            }
        }
        assert_eq!(task.reserved, if task.makes_again.is_some() { 0 } else { reserved });
        match task.stage {
            Stage::Queued if task.makes_again.is_some() => assert!(self.again.contains(&id)),
            Stage::Next => assert_eq!(self.again.last(), Some(&id)),
            Stage::Queued => assert!(self.queue.contains(&(task.lane, id))),
            Stage::Head(counted) => assert_eq!((self.head, counted), (Some(id), need)),
            Stage::Fetching { .. } => {
                assert_eq!(task.stage, Stage::Fetching { missing, remaking });
                assert!(missing > 0, "{id} has all its inputs");
            }
            _ => {}
        }
    }

    fn check_counts(&self) {
        let count = |is: fn(&Stage) -> bool| self.tasks.values().filter(|task| is(&task.stage)).count();
        assert_eq!(self.active, count(|stage| stage.is_active()));
        let on_processors = self.tasks.values().filter(|task| task.lane == Lane::Processor);
        assert_eq!(self.on_processors, on_processors.filter(|task| task.stage.is_active()).count());
        let admitted = self.tasks.values().filter(|task| task.is_admitted()).count();
        assert_eq!(self.paused, admitted - self.active);
        let waits = count(|stage| matches!(stage, Stage::Queued | Stage::Next));
        assert_eq!(self.queue.len() + self.again.len(), waits);
        let is_unasked = |chunk: &&Chunk| matches!(chunk.state, State::Remaking { maker: None, .. });
        assert_eq!(self.unasked, self.chunks.values().filter(is_unasked).count());
        assert_eq!(self.promised, self.tasks.values().map(Task::promise).sum::<u64>());
        let is_under_way =
            |state: &State| matches!(state, State::Spilling { .. } | State::Restoring { begun: true, .. });
        let counts = |chunk: &&Chunk| is_under_way(&chunk.state) && !chunk.is_stalled;
        let under_way = self.chunks.values().filter(counts).count();
        assert_eq!(self.transfers, under_way);
        assert!(self.transfers <= self.limits.transfers);
        let waits = self.head.is_some() || !self.queue.is_empty() || !self.again.is_empty();
        assert!(!waits || self.is_moving(), "somebody waits, and nothing will happen");
    }
}
