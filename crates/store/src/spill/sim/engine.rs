//! An engine that does what the policy says, late and with failures, and watches it.

use super::*;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Fate {
    Done,
    Full,
    Refused,
}

/// What a task makes, beside what it said.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Makes {
    AsDeclared,
    Twice,
    Nothing,
    /// As declared, and it stays in another process.
    Elsewhere,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Stage {
    Waiting,
    Asked,
    Running,
    Paused,
}

#[derive(Debug)]
pub(super) struct Work {
    pub(super) inputs: Vec<ChunkId>,
    pub(super) result: u64,
    pub(super) makes: (ChunkId, Spill),
    pub(super) stage: Stage,
    /// Whether it makes again what was made before.
    pub(super) is_again: bool,
}

/// What the engine knows of a chunk.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) bytes: u64,
    pub(super) is_made: bool,
    pub(super) is_in_memory: bool,
    pub(super) is_on_disk: bool,
    /// What `is_on_disk` says is meant of another process: it is read from there once.
    pub(super) is_remote: bool,
    pub(super) transfer: Option<Transfer>,
    pub(super) is_cancelled: bool,
    pub(super) is_released: bool,
    pub(super) is_fixed: bool,
    /// What it is made again from.
    pub(super) lineage: Option<Vec<ChunkId>>,
    pub(super) user_pins: usize,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Transfer {
    Write,
    Read,
}

#[derive(Debug)]
pub(super) struct Engine {
    pub(super) policy: Policy,
    pub(super) limits: Limits,
    pub(super) places: BTreeMap<ChunkId, Place>,
    pub(super) tasks: BTreeMap<TaskId, Work>,
    pub(super) next: u64,
    pub(super) failed: usize,
    pub(super) ended: usize,
    /// What is to be told when all actions so far are done.
    pub(super) untold: VecDeque<Event>,
}

impl Place {
    pub(super) fn of(spill: Spill, lineage: &[ChunkId]) -> Place {
        let lineage = (spill == Spill::Remade).then(|| lineage.to_vec());
        Place { is_fixed: spill == Spill::Never, lineage, ..Place::default() }
    }
}

pub(super) fn nth<T: Copy>(of: impl Iterator<Item = T>, choice: u8) -> Option<T> {
    let all: Vec<T> = of.collect();
    (!all.is_empty()).then(|| all[choice as usize % all.len()])
}

impl Engine {
    pub(super) fn new(limits: Limits) -> Engine {
        let policy = Policy::new(limits.clone());
        let (places, tasks) = (BTreeMap::new(), BTreeMap::new());
        Engine { policy, limits, places, tasks, next: 0, failed: 0, ended: 0, untold: VecDeque::new() }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn is_in_use(&self, chunk: ChunkId) -> bool {
        let runs = |work: &Work| matches!(work.stage, Stage::Running | Stage::Paused);
        self.places[&chunk].user_pins > 0
            || self.tasks.values().any(|work| runs(work) && work.inputs.contains(&chunk))
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.untold.push_back(event);
        self.tell_all();
    }

    fn tell_all(&mut self) {
        while let Some(event) = self.untold.pop_front() {
            let mut actions = Vec::new();
            self.policy.on(event, &mut actions);
            self.policy.check();
            for action in actions {
                self.obey(action);
            }
        }
        let held = self.places.keys().filter(|id| self.policy.is_resident(**id)).count();
        let expected = |place: &&Place| place.is_in_memory && place.transfer != Some(Transfer::Read);
        assert_eq!(held, self.places.values().filter(expected).count());
    }

    pub(super) fn obey(&mut self, action: Action) {
        match action {
            Action::Write(id) => {
                let place = self.places.get_mut(&id).unwrap();
                assert!(place.is_in_memory && !place.is_on_disk, "{id} is clean: it is not written again");
                assert!(!place.is_fixed && place.lineage.is_none(), "{id} never spills");
                assert_eq!(place.transfer.replace(Transfer::Write), None);
            }
            Action::Read(id, _) => {
                let place = self.places.get_mut(&id).unwrap();
                assert!(place.is_on_disk && !place.is_in_memory);
                place.is_in_memory = true;
                assert_eq!(place.transfer.replace(Transfer::Read), None);
            }
            Action::Drop(id) => {
                assert!(!self.is_in_use(id), "{id} is in use: it does not leave");
                let place = self.places.get_mut(&id).unwrap();
                assert!(place.is_in_memory && place.transfer.is_none());
                assert!(place.is_on_disk || place.lineage.is_some());
                place.is_in_memory = false;
            }
            Action::Remake(id) => self.remake(id),
            Action::Forget(id) => {
                let place = self.places.get_mut(&id).unwrap();
                assert!(place.is_in_memory && place.is_on_disk && place.transfer.is_none());
                place.is_on_disk = false;
            }
            Action::Hurry(id) => assert_eq!(self.places[&id].transfer, Some(Transfer::Read)),
            Action::Cancel(id) => {
                let place = self.places.get_mut(&id).unwrap();
                assert!(place.transfer.is_some() && !place.is_cancelled);
                place.is_cancelled = true;
            }
            Action::Free(id) => {
                assert!(!self.tasks.values().any(|work| work.inputs.contains(&id)), "{id} is wanted");
                let place = self.places.remove(&id).unwrap();
                assert!(place.is_released && place.transfer.is_none() && place.user_pins == 0);
            }
            Action::Admit(task) => {
                let work = self.tasks.get_mut(&task).unwrap();
                assert_eq!(work.stage, Stage::Asked);
                work.stage = Stage::Running;
                for input in &work.inputs {
                    let place = &self.places[input];
                    assert!(
                        place.is_in_memory && place.transfer != Some(Transfer::Read),
                        "{task} reads {input}"
                    );
                }
            }
            Action::Fail(task, why) => {
                assert!(!why.to_string().is_empty());
                self.failed += 1;
                self.give_up(task);
            }
        }
    }

    /// The task will make nothing: those who read its result are cancelled.
    pub(super) fn give_up(&mut self, task: TaskId) {
        let work = self.tasks.remove(&task).unwrap();
        let result = work.makes.0;
        if work.is_again {
            let error = Arc::new(Error::unmade(result, "a planned error"));
            // Some end for another reason; not for ever.
            let is_halted = task.0.is_multiple_of(5);
            let outcome = if is_halted { Remade::Halted } else { Remade::Failed(error) };
            self.untold.push_back(Event::Remade { chunk: result, outcome });
            return;
        }
        self.places.remove(&result);
        let readers = self.tasks.iter().filter(|(_, other)| other.inputs.contains(&result));
        let readers: Vec<TaskId> = readers.map(|(reader, _)| *reader).collect();
        for reader in readers {
            if self.tasks.contains_key(&reader) {
                self.give_up(reader);
                self.untold.push_back(Event::Ended { task: reader, result: None });
            }
        }
    }

    pub(super) fn in_stage(&self, stage: Stage) -> impl Iterator<Item = TaskId> {
        self.tasks.iter().filter(move |(_, work)| work.stage == stage).map(|(task, _)| *task)
    }

    pub(super) fn ready(&self) -> Vec<TaskId> {
        let is_made = |input: &ChunkId| self.places[input].is_made;
        let all_made = |task: &TaskId| self.tasks[task].inputs.iter().all(is_made);
        self.in_stage(Stage::Waiting).filter(all_made).collect()
    }

    /// Submits the task that makes a chunk again, from what is left of its inputs.
    pub(super) fn remake(&mut self, chunk: ChunkId) {
        let place = &self.places[&chunk];
        assert!(!place.is_in_memory && place.transfer.is_none() && place.is_made);
        let inputs = place.lineage.clone().expect("only what has a lineage is made again");
        let inputs: Vec<ChunkId> = inputs
            .into_iter()
            .filter(|input| self.places.get(input).is_some_and(|p| !p.is_released))
            .collect();
        let task = TaskId(self.number());
        self.untold.push_back(Event::Submitted { task, inputs: inputs.clone(), result: 0 });
        let makes = (chunk, Spill::Remade);
        self.tasks.insert(task, Work { inputs, result: 0, makes, stage: Stage::Waiting, is_again: true });
    }

    pub(super) fn put(&mut self, bytes: u64, spill: Spill) {
        let chunk = ChunkId(self.number());
        let place = Place { bytes, is_made: true, is_in_memory: true, ..Place::of(spill, &[]) };
        self.places.insert(chunk, place);
        let is_held = chunk.0.is_multiple_of(2);
        self.tell(Event::Made(Made { chunk, bytes, spill, is_held, is_remote: false }));
        if is_held {
            self.tell(Event::Unpinned(chunk));
        }
    }

    pub(super) fn submit(&mut self, inputs: [u8; 3], result: u64, spill: Spill) {
        let mut wanted: Vec<ChunkId> = Vec::new();
        for choice in inputs {
            let open = self.places.iter().filter(|(_, place)| !place.is_released).map(|(id, _)| *id);
            wanted.extend(nth(open, choice).filter(|_| choice % 4 != 0));
        }
        let (task, makes) = (TaskId(self.number()), (ChunkId(self.number()), spill));
        self.places.insert(makes.0, Place::of(spill, &wanted));
        if task.0.is_multiple_of(2) {
            self.tell(Event::Submitted { task, inputs: wanted.clone(), result });
        } else {
            // The same, as its inputs become known.
            self.tell(Event::Makes(task, result));
            wanted.iter().for_each(|input| self.tell(Event::Reads(task, *input)));
        }
        self.tasks
            .insert(task, Work { inputs: wanted, result, makes, stage: Stage::Waiting, is_again: false });
    }

    pub(super) fn end(&mut self, task: TaskId, makes: Makes) {
        let (chunk, spill) = self.tasks[&task].makes;
        if self.tasks[&task].is_again {
            return self.end_again(task, chunk, makes);
        }
        let is_dropped =
            self.places[&chunk].is_released && !self.tasks.values().any(|w| w.inputs.contains(&chunk));
        if makes == Makes::Nothing || is_dropped {
            // Told before its readers' ends: those may let in who waits, and it waits no more.
            self.untold.push_back(Event::Ended { task, result: None });
            self.give_up(task);
            return self.tell_all();
        }
        let work = self.tasks.remove(&task).unwrap();
        let bytes = if makes == Makes::Twice { 2 * work.result } else { work.result };
        let is_remote = makes == Makes::Elsewhere;
        let place = self.places.get_mut(&chunk).unwrap();
        (place.bytes, place.is_made, place.is_in_memory) = (bytes, true, !is_remote);
        (place.is_on_disk, place.is_remote) = (is_remote, is_remote);
        self.ended += 1;
        let made = Made { chunk, bytes, spill, is_held: false, is_remote };
        self.tell(Event::Ended { task, result: Some(made) });
    }

    pub(super) fn end_again(&mut self, task: TaskId, chunk: ChunkId, makes: Makes) {
        if makes == Makes::Nothing {
            self.give_up(task);
        } else {
            self.tasks.remove(&task).unwrap();
            let place = self.places.get_mut(&chunk).unwrap();
            place.is_in_memory = true;
            place.bytes *= if makes == Makes::Twice { 2 } else { 1 };
            let outcome = Remade::Made(place.bytes);
            self.untold.push_back(Event::Remade { chunk, outcome });
        }
        self.tell(Event::Ended { task, result: None });
    }

    pub(super) fn transfer(&mut self, chunk: ChunkId, fate: Fate) {
        let place = self.places.get_mut(&chunk).unwrap();
        let folder = Path::new("/spill");
        let error = || match fate {
            Fate::Full => Arc::new(Error::full(folder, 1, 0, self.limits.spill)),
            _ => Arc::new(Error::io("write", folder, std::io::Error::from_raw_os_error(libc::EIO))),
        };
        match place.transfer.take().unwrap() {
            Transfer::Write => {
                let outcome = match fate {
                    _ if place.is_cancelled => Written::Cancelled,
                    Fate::Done => Written::Stored(place.bytes.min(512)),
                    _ => Written::Failed(error()),
                };
                place.is_on_disk = matches!(outcome, Written::Stored(_));
                self.tell(Event::WriteEnded { chunk, outcome });
            }
            Transfer::Read => {
                let outcome = if fate == Fate::Done { Ok(()) } else { Err(error()) };
                place.is_in_memory = outcome.is_ok();
                if place.is_remote && place.is_in_memory {
                    (place.is_remote, place.is_on_disk) = (false, false);
                }
                self.tell(Event::ReadEnded { chunk, outcome });
            }
        }
    }

    pub(super) fn moving(&self) -> impl Iterator<Item = ChunkId> {
        self.places.iter().filter(|(_, place)| place.transfer.is_some()).map(|(id, _)| *id)
    }

    /// What is read from another process.
    pub(super) fn coming(&self) -> impl Iterator<Item = ChunkId> {
        self.moving().filter(|chunk| self.places[chunk].is_remote)
    }

    pub(super) fn ask(&mut self, task: TaskId) {
        self.tasks.get_mut(&task).unwrap().stage = Stage::Asked;
        let work = &self.tasks[&task];
        if work.is_again {
            return self.tell(Event::AskedAgain(task, work.makes.0));
        }
        let lane = if task.0.is_multiple_of(3) { Lane::Beside } else { Lane::Processor };
        self.tell(Event::Asked(task, lane));
    }

    pub(super) fn resume(&mut self, task: TaskId) {
        self.tasks.get_mut(&task).unwrap().stage = Stage::Running;
        self.tell(Event::Resumed(task));
    }

    pub(super) fn unpin(&mut self, chunk: ChunkId) {
        self.places.get_mut(&chunk).unwrap().user_pins -= 1;
        self.tell(Event::Unpinned(chunk));
    }

    pub(super) fn release(&mut self, chunk: ChunkId) {
        self.places.get_mut(&chunk).unwrap().is_released = true;
        self.tell(Event::Released(chunk));
    }

    /// Lets everything come to its end, and all chunks go.
    pub(super) fn finish(&mut self) {
        let bound = 100 * (self.tasks.len() + self.places.len() + 1);
        for _ in 0..bound {
            if let Some(task) = self.policy.first_to_run(&self.ready()) {
                self.ask(task);
            } else if let Some(chunk) = nth(self.moving(), 0) {
                self.transfer(chunk, Fate::Done);
            } else if let Some(task) = nth(self.in_stage(Stage::Running), 0) {
                self.end(task, Makes::AsDeclared);
            } else if let Some(task) = nth(self.in_stage(Stage::Paused), 0) {
                self.resume(task);
            } else {
                break;
            }
        }
        assert!(self.tasks.is_empty(), "nothing moves: {:?}", self.tasks);
        let all: Vec<ChunkId> = self.places.keys().copied().collect();
        for chunk in all {
            while self.places.get(&chunk).is_some_and(|place| place.user_pins > 0) {
                self.unpin(chunk);
            }
            if self.places.get(&chunk).is_some_and(|place| !place.is_released) {
                self.release(chunk);
            }
        }
        while let Some(chunk) = nth(self.moving(), 0) {
            self.transfer(chunk, Fate::Done);
        }
        let is_left = |place: &&Place| place.is_made;
        assert_eq!(self.places.values().filter(is_left).count(), 0, "every chunk was freed");
        assert_eq!((self.policy.used(), self.policy.stored()), (0, 0));
    }
}
