//! Tasks: what they read and make, and how they are let in.

use super::{Action, Chunk, ChunkId, Haste, Made, Policy, Spill, State, TaskId, Why};

/// What a task runs on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Lane {
    /// Beside the processors: it mostly waits for something else than memory.
    Beside,
    /// A processor.
    #[default]
    Processor,
}

/// A submitted task that has not ended.
#[derive(Debug)]
pub(super) struct Task {
    /// What it reads, each chunk once.
    pub(super) inputs: Vec<ChunkId>,
    /// Bytes that it makes, as far as is known.
    pub(super) result: u64,
    pub(super) stage: Stage,
    /// What it runs on; of no meaning before it asks.
    pub(super) lane: Lane,
}

/// How far a task has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// It has not asked yet.
    Submitted,
    /// It waits behind others.
    Queued,
    /// It is the head of the queue: its inputs are pinned, and it needs this many bytes more.
    Head(u64),
    /// It was let in, and so many of its inputs are still being read.
    Fetching(usize),
    /// It runs.
    Running,
    /// It waits for others while it runs: so many of its waits are under way.
    Paused(u32),
}

impl Policy {
    pub(super) fn on_submitted(&mut self, task: TaskId, mut inputs: Vec<ChunkId>, result: u64) {
        inputs.sort_unstable();
        inputs.dedup();
        inputs.iter().for_each(|input| self.will_use(task, *input));
        let old =
            self.tasks.insert(task, Task { inputs, result, stage: Stage::Submitted, lane: Lane::Processor });
        assert!(old.is_none(), "{task} was submitted twice");
    }

    /// One more chunk that a task reads, which is known or not.
    pub(super) fn on_reads(&mut self, id: TaskId, input: ChunkId) {
        if !self.tasks.contains_key(&id) {
            self.on_submitted(id, Vec::new(), 0);
        }
        let task = self.tasks.get_mut(&id).expect("just seen");
        assert_eq!(task.stage, Stage::Submitted, "{id} says what it reads before it asks");
        if let Err(place) = task.inputs.binary_search(&input) {
            task.inputs.insert(place, input);
            self.will_use(id, input);
        }
    }

    /// A task will read the chunk, which is made or not.
    fn will_use(&mut self, task: TaskId, input: ChunkId) {
        if !self.chunks.contains_key(&input) {
            self.insert(input, Chunk::new(0, State::Unmade, Spill::Allowed, self.now));
        }
        self.change(input, |chunk| {
            assert!(!chunk.is_doomed, "{task} reads {input}, which is gone");
            chunk.uses.add(task);
        });
    }

    /// What a task will make, which is known or not.
    pub(super) fn on_makes(&mut self, id: TaskId, result: u64) {
        if !self.tasks.contains_key(&id) {
            self.on_submitted(id, Vec::new(), 0);
        }
        let task = self.tasks.get_mut(&id).expect("just seen");
        let old = std::mem::replace(&mut task.result, result);
        if let Stage::Head(need) = &mut task.stage {
            *need = *need + result - old;
        } else if task.is_admitted() {
            self.promised = self.promised + result - old;
        }
    }

    pub(super) fn on_asked(&mut self, id: TaskId, lane: Lane) {
        // A task that was cancelled may still ask.
        let Some(task) = self.tasks.get_mut(&id) else { return };
        assert_eq!(task.stage, Stage::Submitted, "{id} asks once");
        (task.stage, task.lane) = (Stage::Queued, lane);
        self.queue.insert((lane, id));
    }

    /// Lets a task that has just asked go ahead of the others, if it fits and leaves no more than it found.
    pub(super) fn overtake(&mut self, id: TaskId, out: &mut Vec<Action>) {
        let Some(task) = self.tasks.get(&id) else { return };
        let (Stage::Queued, result, lane) = (task.stage, task.result, task.lane) else { return };
        let (mut freed, mut missing) = (0, 0);
        for input in &task.inputs {
            let chunk = &self.chunks[input];
            missing += u64::from(!chunk.is_in_memory());
            if chunk.is_released && chunk.uses.is_only(id) {
                freed += chunk.bytes;
            }
        }
        if missing == 0 && freed >= result && self.fits(result) && self.has_processor(lane) {
            self.queue.remove(&(lane, id));
            let inputs = std::mem::take(&mut self.tasks.get_mut(&id).expect("just seen").inputs);
            for &input in &inputs {
                self.change(input, |chunk| (chunk.pins, chunk.is_ahead) = (chunk.pins + 1, false));
            }
            self.tasks.get_mut(&id).expect("just seen").inputs = inputs;
            self.let_in(id, out);
        }
    }

    pub(super) fn on_paused(&mut self, task: TaskId) {
        if let Some(task) = self.tasks.get_mut(&task)
            && task.pause()
        {
            let lane = task.lane;
            self.count_active(lane, false);
            self.paused += 1;
        }
    }

    pub(super) fn on_resumed(&mut self, task: TaskId) {
        if let Some(task) = self.tasks.get_mut(&task)
            && task.resume()
        {
            let lane = task.lane;
            self.count_active(lane, true);
            self.paused -= 1;
        }
    }

    pub(super) fn on_ended(&mut self, id: TaskId, result: Option<Made>, out: &mut Vec<Action>) {
        if self.tasks.contains_key(&id) {
            self.forget(id, out);
        }
        if let Some(made) = result {
            self.on_made(made, out);
        }
    }

    /// Takes back all that the task holds.
    fn forget(&mut self, id: TaskId, out: &mut Vec<Action>) {
        let task = self.tasks.remove(&id).expect("the caller has seen it");
        match task.stage {
            Stage::Submitted => {}
            Stage::Queued => drop(self.queue.remove(&(task.lane, id))),
            Stage::Head(_) => self.head = None,
            Stage::Fetching(_) | Stage::Running => self.count_active(task.lane, false),
            Stage::Paused(_) => self.paused -= 1,
        }
        if task.is_admitted() {
            self.promised -= task.result;
        }
        let now = self.now;
        for input in task.inputs {
            self.change(input, |chunk| {
                chunk.uses.remove(id);
                if task.stage.pins() {
                    (chunk.pins, chunk.touched) = (chunk.pins - 1, now);
                }
                if let (Stage::Fetching(_), State::Restoring { waiters, .. }) = (task.stage, &mut chunk.state)
                {
                    waiters.retain(|waiter| *waiter != id);
                }
            });
            self.settle(input, out);
        }
    }

    pub(super) fn fail(&mut self, task: TaskId, why: Why, out: &mut Vec<Action>) {
        out.push(Action::Fail(task, why));
        self.forget(task, out);
    }

    /// Gives the turn to the next who asked, if it is nobody's, and pins its inputs.
    pub(super) fn call_next(&mut self) -> Option<(TaskId, u64)> {
        if let Some(head) = self.head {
            let Stage::Head(need) = self.tasks[&head].stage else { unreachable!("the head has its stage") };
            return Some((head, need));
        }
        // What runs beside the processors comes first in the order, and is the only thing that may go on without one.
        let (lane, id) = self.queue.first().copied()?;
        if !self.has_processor(lane) {
            return None;
        }
        self.queue.remove(&(lane, id));
        let inputs = std::mem::take(&mut self.tasks.get_mut(&id).expect("who waits is known").inputs);
        let mut need = 0;
        for &input in &inputs {
            need += self.change(input, |chunk| {
                chunk.pins += 1;
                chunk.is_ahead = false;
                match chunk.state {
                    State::Unmade => panic!("{id} asks before its input {input} is made"),
                    State::OnDisk { .. } => chunk.bytes,
                    _ => 0,
                }
            });
        }
        let task = self.tasks.get_mut(&id).expect("who waits is known");
        need += task.result;
        (task.inputs, task.stage) = (inputs, Stage::Head(need));
        self.head = Some(id);
        Some((id, need))
    }

    /// An input that the head has counted on is on disk again.
    pub(super) fn needs_more(&mut self, input: ChunkId, bytes: u64) {
        let Some(head) = self.head else { return };
        let task = self.tasks.get_mut(&head).expect("the head is known");
        if let (Stage::Head(need), Ok(_)) = (&mut task.stage, task.inputs.binary_search(&input)) {
            *need += bytes;
        }
    }

    /// Lets the head in: takes the memory that it needs and has its inputs read.
    pub(super) fn admit(&mut self, id: TaskId, out: &mut Vec<Action>) {
        self.head = None;
        self.let_in(id, out);
    }

    /// Whether one more task may run there.
    fn has_processor(&self, lane: Lane) -> bool {
        lane == Lane::Beside || self.on_processors < self.limits.processors
    }

    /// Counts a task that begins or ends to run, or to wait.
    fn count_active(&mut self, lane: Lane, begins: bool) {
        let change = |count: &mut usize| if begins { *count += 1 } else { *count -= 1 };
        change(&mut self.active);
        if lane == Lane::Processor {
            change(&mut self.on_processors);
        }
    }

    fn let_in(&mut self, id: TaskId, out: &mut Vec<Action>) {
        self.count_active(self.tasks[&id].lane, true);
        let task = self.tasks.get_mut(&id).expect("the head is known");
        let inputs = std::mem::take(&mut task.inputs);
        self.promised += task.result;
        let mut missing = 0;
        for &input in &inputs {
            let state = &self.chunks[&input].state;
            if let State::OnDisk { stored } = *state {
                let waiters = Vec::new();
                self.change(input, |chunk| chunk.state = State::Restoring { stored, begun: false, waiters });
                self.reads.push_back(input);
            }
            self.change(input, |chunk| {
                if let State::Restoring { waiters, begun, .. } = &mut chunk.state {
                    missing += 1;
                    if *begun && waiters.is_empty() {
                        out.push(Action::Hurry(input));
                    }
                    waiters.push(id);
                }
            });
        }
        let task = self.tasks.get_mut(&id).expect("the head is known");
        task.inputs = inputs;
        task.stage = Stage::Fetching(missing);
        if missing == 0 {
            self.run(id, out);
        }
    }

    fn run(&mut self, id: TaskId, out: &mut Vec<Action>) {
        self.tasks.get_mut(&id).expect("an admitted task is known").stage = Stage::Running;
        out.push(Action::Admit(id));
    }

    /// One input of the task was read.
    pub(super) fn arrived(&mut self, id: TaskId, out: &mut Vec<Action>) {
        let task = self.tasks.get_mut(&id).expect("who waits for a chunk is known");
        let Stage::Fetching(missing) = &mut task.stage else { unreachable!("it waits for its inputs") };
        *missing -= 1;
        if *missing == 0 {
            self.run(id, out);
        }
    }

    /// Begins the reads that admitted tasks wait for, as far as the disk takes more.
    pub(super) fn begin_reads(&mut self, out: &mut Vec<Action>) {
        while self.transfers < self.limits.transfers {
            let Some(id) = self.reads.pop_front() else { return };
            // What was freed meanwhile, or has its turn twice, is passed over.
            let Some(chunk) = self.chunks.get(&id) else { continue };
            let State::Restoring { stored, begun: false, waiters } = &chunk.state else { continue };
            let stored = *stored;
            if waiters.is_empty() && chunk.pins == 0 {
                self.change(id, |chunk| chunk.state = State::OnDisk { stored });
                continue;
            }
            self.change(id, |chunk| match &mut chunk.state {
                State::Restoring { begun, .. } => *begun = true,
                _ => unreachable!("it was seen above"),
            });
            self.transfers += 1;
            out.push(Action::Read(id, Haste::Task));
        }
    }
}

impl Task {
    pub(super) fn is_admitted(&self) -> bool {
        matches!(self.stage, Stage::Fetching(_) | Stage::Running | Stage::Paused(_))
    }

    /// Begins a wait; whether it is the first.
    fn pause(&mut self) -> bool {
        let waits = match self.stage {
            Stage::Running => 0,
            Stage::Paused(waits) => waits,
            stage => panic!("only a running task waits, and this one is {stage:?}"),
        };
        self.stage = Stage::Paused(waits + 1);
        waits == 0
    }

    /// Ends a wait; whether it was the last. A wait that began before the task was known is none.
    fn resume(&mut self) -> bool {
        let Stage::Paused(waits) = self.stage else { return false };
        self.stage = if waits == 1 { Stage::Running } else { Stage::Paused(waits - 1) };
        waits == 1
    }
}

impl Stage {
    /// Whether the task has its inputs pinned.
    pub(super) fn pins(self) -> bool {
        !matches!(self, Stage::Submitted | Stage::Queued)
    }
}
