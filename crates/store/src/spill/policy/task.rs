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
    /// Bytes of what is made again for it.
    pub(super) reserved: u64,
    pub(super) stage: Stage,
    /// What it runs on; of no meaning before it asks.
    pub(super) lane: Lane,
    /// The chunk that it makes again.
    pub(super) makes_again: Option<ChunkId>,
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
    /// It is the first of those who make chunks again: its inputs are pinned.
    Next,
    /// It was let in, and so many of its inputs are still being read or made again, so many of them by tasks.
    Fetching { missing: usize, remaking: usize },
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
        let old =
            self.tasks.insert(task, Task { inputs, result, reserved: 0, stage, lane, makes_again: None });
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
        self.change_task(id, |task| {
            let old = std::mem::replace(&mut task.result, result);
            if let Stage::Head(need) = &mut task.stage {
                *need = *need + result - old;
            }
        });
    }

    /// Changes a task, and with it what is promised.
    pub(super) fn change_task<R>(&mut self, id: TaskId, change: impl FnOnce(&mut Task) -> R) -> R {
        let task = self.tasks.get_mut(&id).expect("who changes is known");
        let before = task.promise();
        let result = change(task);
        self.promised = self.promised + task.promise() - before;
        result
    }

    pub(super) fn on_asked(&mut self, id: TaskId, lane: Lane, out: &mut Vec<Action>) {
        // A task that was cancelled may still ask.
        let Some(task) = self.tasks.get_mut(&id) else { return };
        assert_eq!(task.stage, Stage::Submitted, "{id} asks once");
        (task.stage, task.lane) = (Stage::Queued, lane);
        self.queue.insert((lane, id));
        self.overtake(id, out);
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
    pub(super) fn forget(&mut self, id: TaskId, out: &mut Vec<Action>) {
        let task = self.tasks.remove(&id).expect("the caller has seen it");
        match task.stage {
            Stage::Submitted => {}
            Stage::Queued | Stage::Next if task.makes_again.is_some() => {
                self.again.retain(|other| *other != id)
            }
            Stage::Queued => drop(self.queue.remove(&(task.lane, id))),
            Stage::Head(_) => self.head = None,
            stage if stage.is_active() => self.count_active(task.lane, false),
            _ => self.paused -= 1,
        }
        self.promised -= task.promise();
        let now = self.now;
        for input in task.inputs {
            self.change(input, |chunk| {
                chunk.uses.remove(id);
                if task.stage.pins() {
                    (chunk.pins, chunk.touched) = (chunk.pins - 1, now);
                }
                if let (Stage::Fetching { .. }, Some(waiters)) = (task.stage, chunk.waiters()) {
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
    pub(super) fn pin_inputs(&mut self, id: TaskId) -> u64 {
        let mut missing = 0;
        self.each_input(id, |policy, input| {
            missing += policy.change(input, |chunk| {
                assert!(!matches!(chunk.state, State::Unmade), "{id} asks before {input} is made");
                (chunk.pins, chunk.is_ahead) = (chunk.pins + 1, false);
                chunk.missing_bytes()
            });
        });
        missing
    }

    /// Does `work` with each of the task's inputs.
    fn each_input(&mut self, id: TaskId, mut work: impl FnMut(&mut Policy, ChunkId)) {
        let inputs = std::mem::take(&mut self.tasks.get_mut(&id).expect("who waits is known").inputs);
        inputs.iter().for_each(|input| work(self, *input));
        self.tasks.get_mut(&id).expect("who waits is known").inputs = inputs;
    }

    /// Bytes of its inputs that are not in memory.
    pub(super) fn missing_bytes(&self, id: TaskId) -> u64 {
        self.tasks[&id].inputs.iter().map(|input| self.chunks[input].missing_bytes()).sum()
    }

    /// Lets the inputs of a task go that is not let in after all.
    pub(super) fn unpin_inputs(&mut self, id: TaskId) {
        self.each_input(id, |policy, input| policy.change(input, |chunk| chunk.pins -= 1));
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
    pub(super) fn count_active(&mut self, lane: Lane, begins: bool) {
        let change = |count: &mut usize| if begins { *count += 1 } else { *count -= 1 };
        change(&mut self.active);
        if lane == Lane::Processor {
            change(&mut self.on_processors);
        }
    }

    pub(super) fn let_in(&mut self, id: TaskId, out: &mut Vec<Action>) {
        let (mut missing, mut remaking, mut reserved) = (0, 0, 0);
        self.each_input(id, |policy, input| {
            let waiters = Vec::new();
            match policy.chunks[&input].state {
                State::OnDisk { stored } => {
                    policy.change(input, |chunk| {
                        chunk.state = State::Restoring { stored, begun: false, waiters }
                    });
                    policy.reads.push_back(input);
                    let bytes = policy.chunks[&input].bytes;
                    if let Some(need) = policy.need_of_head(input) {
                        *need -= bytes;
                    }
                }
                State::Gone => {
                    policy.change(input, |chunk| chunk.state = State::Remaking { maker: None, waiters });
                    policy.unasked += 1;
                    out.push(Action::Remake(input));
                }
                _ => {}
            }
            policy.change(input, |chunk| {
                if let State::Restoring { begun: true, waiters, .. } = &chunk.state
                    && waiters.is_empty()
                {
                    out.push(Action::Hurry(input));
                }
                if let State::Remaking { .. } = chunk.state {
                    remaking += 1;
                    reserved += chunk.bytes;
                }
                remaking += usize::from(chunk.is_stalled);
                if let Some(waiters) = chunk.waiters() {
                    missing += 1;
                    waiters.push(id);
                }
            });
        });
        let lane = self.change_task(id, |task| {
            // Who makes a chunk again goes on when its turn is, whatever there is room for then.
            task.reserved = if task.makes_again.is_some() { 0 } else { reserved };
            task.stage = Stage::Fetching { missing, remaking };
            task.lane
        });
        if remaking == 0 {
            self.count_active(lane, true)
        } else {
            self.paused += 1
        }
        if missing == 0 {
            self.run(id, out);
        }
    }

    fn run(&mut self, id: TaskId, out: &mut Vec<Action>) {
        self.tasks.get_mut(&id).expect("an admitted task is known").stage = Stage::Running;
        out.push(Action::Admit(id));
    }

    /// One input of the task has come.
    pub(super) fn arrived(&mut self, id: TaskId, out: &mut Vec<Action>) {
        let task = self.tasks.get_mut(&id).expect("who waits for a chunk is known");
        let Stage::Fetching { missing, .. } = &mut task.stage else {
            unreachable!("it waits for its inputs")
        };
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
        matches!(self.stage, Stage::Fetching { .. } | Stage::Running | Stage::Paused(_))
    }

    /// Bytes that are kept free for it.
    pub(super) fn promise(&self) -> u64 {
        match self.stage {
            Stage::Fetching { remaking: 1.., .. } if self.makes_again.is_some() => 0,
            Stage::Fetching { .. } | Stage::Running | Stage::Paused(_) => self.result + self.reserved,
            Stage::Submitted | Stage::Queued | Stage::Head(_) | Stage::Next => 0,
        }
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
    /// Whether the task was let in and does not wait for another one, to end or to make a chunk again.
    pub(super) fn is_active(self) -> bool {
        matches!(self, Stage::Fetching { remaking: 0, .. } | Stage::Running)
    }

    /// Whether the task has its inputs pinned.
    pub(super) fn pins(self) -> bool {
        !matches!(self, Stage::Submitted | Stage::Queued)
    }
}
