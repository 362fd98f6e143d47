//! Chunks that are made again: who makes them, and when.

use super::memory::Purpose;
use super::task::{Stage, Task};
use super::{Action, ChunkId, Policy, Remade, State, TaskId};

impl Policy {
    pub(super) fn on_asked_again(&mut self, id: TaskId, chunk: ChunkId) {
        let bytes = self.change(chunk, |chunk| {
            let State::Remaking { maker, .. } = &mut chunk.state else { panic!("{id} makes what is there") };
            assert!(maker.is_none(), "{id} makes what another task makes");
            *maker = Some(id);
            chunk.bytes
        });
        self.unasked -= 1;
        self.on_makes(id, bytes);
        if let Some(&next) = self.again.last() {
            self.step_back(next);
        }
        let task = self.tasks.get_mut(&id).expect("just seen");
        assert_eq!(task.stage, Stage::Submitted, "{id} asks once");
        (task.stage, task.makes_again) = (Stage::Queued, Some(chunk));
        self.again.push(id);
    }

    /// Another one makes a chunk again first.
    fn step_back(&mut self, id: TaskId) {
        let task = self.tasks.get_mut(&id).expect("who waits is known");
        if task.stage == Stage::Next {
            task.stage = Stage::Queued;
            self.unpin_inputs(id);
        }
    }

    /// Lets in who makes chunks again: the last one that asked, if it fits, or if nothing happens without it. While it waits
    /// its inputs are pinned: what is written behind, or has its copy on disk forgotten for it, must be something else.
    pub(super) fn pump_again(&mut self, out: &mut Vec<Action>) {
        while let Some(&id) = self.again.last() {
            if self.tasks[&id].stage == Stage::Queued {
                self.pin_inputs(id);
                self.change_task(id, |task| task.stage = Stage::Next);
            }
            let result = self.result_beyond_reserved(id);
            let need = result + self.missing_bytes(id);
            if !self.fits(need) {
                self.make_room(need, Purpose::Now, out);
            }
            if !self.fits(need) && self.is_moving() {
                return;
            }
            self.again.pop();
            self.on_makes(id, result);
            self.ceiling = self.ceiling.max(self.used() + need);
            self.let_in(id, out);
            self.begin_reads(out);
        }
    }

    /// What the task makes, unless somebody who waits for it has reserved that.
    fn result_beyond_reserved(&self, id: TaskId) -> u64 {
        let task = &self.tasks[&id];
        let chunk = task.makes_again.and_then(|chunk| self.chunks.get(&chunk));
        let Some(State::Remaking { waiters, .. }) = chunk.map(|chunk| &chunk.state) else { return 0 };
        let is_reserved = waiters.iter().any(|waiter| self.tasks[waiter].makes_again.is_none());
        if is_reserved { 0 } else { task.result }
    }

    pub(super) fn on_remade(&mut self, id: ChunkId, outcome: Remade, out: &mut Vec<Action>) {
        let (maker, waiters, bytes) = self.change(id, |chunk| {
            let bytes = chunk.bytes;
            let state = if let Remade::Made(bytes) = outcome {
                // A function that is not the same each time may make more or less.
                chunk.bytes = bytes;
                State::Resident { stored: None }
            } else {
                State::Gone
            };
            match std::mem::replace(&mut chunk.state, state) {
                State::Remaking { maker, waiters } => (maker, waiters, bytes),
                state => panic!("{id} is made again while it is {state:?}"),
            }
        });
        match maker {
            // What it has read may leave before those who wait go on.
            Some(maker) if self.tasks.contains_key(&maker) => self.forget(maker, out),
            Some(_) => {}
            None => self.unasked -= 1,
        }
        waiters.iter().for_each(|waiter| self.waits_no_more(*waiter, bytes));
        self.ceiling = self.ceiling.max(self.used());
        if self.chunks[&id].is_doomed {
            return self.free(id, out);
        }
        match outcome {
            Remade::Made(_) => {
                if let Some(need) = self.need_of_head(id) {
                    *need -= bytes;
                }
                self.tell_waiters(id, waiters, None, out);
            }
            Remade::Failed(error) => self.tell_waiters(id, waiters, Some(error), out),
            Remade::Halted if waiters.is_empty() => {}
            Remade::Halted => {
                // Once more, for those who are not halted; who is ends by itself.
                waiters.iter().for_each(|waiter| self.waits_on(*waiter, bytes));
                self.change(id, |chunk| chunk.state = State::Remaking { maker: None, waiters });
                self.unasked += 1;
                out.push(Action::Remake(id));
            }
        }
    }

    /// A chunk that the task waits for, and perhaps has reserved so many bytes for, is made again, or will not be.
    pub(super) fn waits_no_more(&mut self, id: TaskId, bytes: u64) {
        let (goes_on, lane) = self.change_task(id, |task| {
            task.reserved -= if task.makes_again.is_some() { 0 } else { bytes };
            let remaking = task.remaking();
            *remaking -= 1;
            (*remaking == 0, task.lane)
        });
        if goes_on {
            self.paused -= 1;
            self.count_active(lane, true);
        }
    }

    /// It waits for the chunk all the same.
    pub(super) fn waits_on(&mut self, id: TaskId, bytes: u64) {
        let (stops, lane) = self.change_task(id, |task| {
            task.reserved += if task.makes_again.is_some() { 0 } else { bytes };
            let remaking = task.remaking();
            *remaking += 1;
            (*remaking == 1, task.lane)
        });
        if stops {
            self.paused += 1;
            self.count_active(lane, false);
        }
    }
}

impl Task {
    /// For how many chunks it waits that are made again, here or elsewhere.
    fn remaking(&mut self) -> &mut usize {
        let Stage::Fetching { remaking, .. } = &mut self.stage else {
            unreachable!("it waits for its inputs")
        };
        remaking
    }
}
