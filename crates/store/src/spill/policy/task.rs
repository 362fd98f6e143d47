//! Tasks: what they read and make, and how they are let in.

use super::{Action, Chunk, ChunkId, Haste, Made, Policy, Spill, State, TaskId, Why};

/// What a task runs on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Lane {
    /// Makes a chunk again: others were let in for it, and wait.
    Again,
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
    /// Bytes of what is made again for it.
    pub(super) reserved: u64,
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
    /// It was let in, and so many of its inputs are still being read or made again.
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
        let (stage, lane) = (Stage::Submitted, Lane::Processor);
        let old = self.tasks.insert(task, Task { inputs, result, reserved: 0, stage, lane });
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

    pub(super) fn on_asked(&mut self, id: TaskId, lane: Lane, out: &mut Vec<Action>) {
        // A task that was cancelled may still ask.
        let Some(task) = self.tasks.get_mut(&id) else { return };
        assert_eq!(task.stage, Stage::Submitted, "{id} asks once");
        task.lane = lane;
        if lane == Lane::Again {
            // It may wait for nothing but the disk and others like it: that comes to an end.
            let need = self.pin_inputs(id) + self.tasks[&id].result;
            self.ceiling = self.ceiling.max(self.used() + need);
            self.let_in(id, out);
        } else {
            task.stage = Stage::Queued;
            self.queue.insert((lane, id));
            self.overtake(id, out);
        }
    }

    /// Lets a task that has just asked go ahead of the others, if it fits and leaves no more than it found.
    fn overtake(&mut self, id: TaskId, out: &mut Vec<Action>) {
        let task = &self.tasks[&id];
        let (result, lane) = (task.result, task.lane);
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
            self.pin_inputs(id);
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
            self.promised -= task.result + task.reserved;
        }
        let now = self.now;
        for input in task.inputs {
            self.change(input, |chunk| {
                chunk.uses.remove(id);
                if task.stage.pins() {
                    (chunk.pins, chunk.touched) = (chunk.pins - 1, now);
                }
                if let (Stage::Fetching(_), Some(waiters)) = (task.stage, chunk.waiters()) {
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
        let missing = self.pin_inputs(id);
        let task = self.tasks.get_mut(&id).expect("who waits is known");
        let need = missing + task.result;
        task.stage = Stage::Head(need);
        self.head = Some(id);
        Some((id, need))
    }

    /// Keeps the inputs where they are; tells the bytes of those that are not in memory.
    fn pin_inputs(&mut self, id: TaskId) -> u64 {
        let inputs = std::mem::take(&mut self.tasks.get_mut(&id).expect("who waits is known").inputs);
        let pin = |chunk: &mut Chunk| {
            (chunk.pins, chunk.is_ahead) = (chunk.pins + 1, false);
            chunk.missing_bytes()
        };
        let mut missing = 0;
        for &input in &inputs {
            assert!(!matches!(self.chunks[&input].state, State::Unmade), "{id} asks before {input} is made");
            missing += self.change(input, pin);
        }
        self.tasks.get_mut(&id).expect("who waits is known").inputs = inputs;
        missing
    }

    /// What the head needs, if it reads this chunk.
    pub(super) fn need_of_head(&mut self, input: ChunkId) -> Option<&mut u64> {
        let head = self.tasks.get_mut(&self.head?).expect("the head is known");
        let is_read = head.inputs.binary_search(&input).is_ok();
        if let Stage::Head(need) = &mut head.stage { Some(need).filter(|_| is_read) } else { None }
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
        let (mut missing, mut remade) = (0, 0);
        for &input in &inputs {
            let waiters = Vec::new();
            match self.chunks[&input].state {
                State::OnDisk { stored } => {
                    self.change(input, |chunk| {
                        chunk.state = State::Restoring { stored, begun: false, waiters }
                    });
                    self.reads.push_back(input);
                }
                State::Gone => {
                    self.change(input, |chunk| chunk.state = State::Remaking { waiters });
                    out.push(Action::Remake(input));
                }
                _ => {}
            }
            self.change(input, |chunk| {
                if let State::Restoring { begun: true, waiters, .. } = &chunk.state
                    && waiters.is_empty()
                {
                    out.push(Action::Hurry(input));
                }
                remade += if matches!(chunk.state, State::Remaking { .. }) { chunk.bytes } else { 0 };
                if let Some(waiters) = chunk.waiters() {
                    missing += 1;
                    waiters.push(id);
                }
            });
        }
        let task = self.tasks.get_mut(&id).expect("the head is known");
        task.inputs = inputs;
        // Those who wait for a task that makes a chunk again have reserved for the chunks on the way there, too: one at a
        // time is in memory.
        task.reserved = if task.lane == Lane::Again { 0 } else { remade };
        self.promised += task.result + task.reserved;
        task.stage = Stage::Fetching(missing);
        if missing == 0 {
            self.run(id, out);
        }
    }

    fn run(&mut self, id: TaskId, out: &mut Vec<Action>) {
        self.tasks.get_mut(&id).expect("an admitted task is known").stage = Stage::Running;
        out.push(Action::Admit(id));
    }

    /// A chunk for which the task has reserved so many bytes is made again, or will not be.
    pub(super) fn unreserve(&mut self, id: TaskId, bytes: u64) {
        let task = self.tasks.get_mut(&id).expect("who waits for a chunk is known");
        let bytes = if task.lane == Lane::Again { 0 } else { bytes };
        task.reserved -= bytes;
        self.promised -= bytes;
    }

    /// One input of the task has come.
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
