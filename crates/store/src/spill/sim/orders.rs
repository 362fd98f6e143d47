//! Events in any order: an engine that does what the policy says, late and with failures, and watches it.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

/// What happens next; numbers choose among what can happen.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Put {
        bytes: u64,
        spill: Spill,
    },
    Submit {
        inputs: [u8; 3],
        result: u64,
        spill: Spill,
    },
    Ask(u8),
    End {
        task: u8,
        makes: Makes,
    },
    Cancel(u8),
    Pause(u8),
    Resume(u8),
    Pin(u8),
    Unpin(u8),
    Release(u8),
    /// A transfer ends; which one, and whether it fails.
    Transfer(u8, Fate),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fate {
    Done,
    Full,
    Refused,
}

/// What a task makes, beside what it said.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Makes {
    AsDeclared,
    Twice,
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Stage {
    Waiting,
    Asked,
    Running,
    Paused,
}

#[derive(Debug)]
struct Work {
    inputs: Vec<ChunkId>,
    result: u64,
    makes: (ChunkId, Spill),
    stage: Stage,
    /// Whether it makes again what was made before.
    is_again: bool,
}

/// What the engine knows of a chunk.
#[derive(Debug, Default)]
struct Place {
    bytes: u64,
    is_made: bool,
    is_in_memory: bool,
    is_on_disk: bool,
    transfer: Option<Transfer>,
    is_cancelled: bool,
    is_released: bool,
    is_fixed: bool,
    /// What it is made again from.
    lineage: Option<Vec<ChunkId>>,
    user_pins: usize,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Transfer {
    Write,
    Read,
}

#[derive(Debug)]
struct Engine {
    policy: Policy,
    limits: Limits,
    places: BTreeMap<ChunkId, Place>,
    tasks: BTreeMap<TaskId, Work>,
    next: u64,
    failed: usize,
    ended: usize,
    /// What is to be told when all actions so far are done.
    untold: VecDeque<Event>,
}

impl Place {
    fn of(spill: Spill, lineage: &[ChunkId]) -> Place {
        let lineage = (spill == Spill::Remade).then(|| lineage.to_vec());
        Place { is_fixed: spill == Spill::Never, lineage, ..Place::default() }
    }
}

fn nth<T: Copy>(of: impl Iterator<Item = T>, choice: u8) -> Option<T> {
    let all: Vec<T> = of.collect();
    (!all.is_empty()).then(|| all[choice as usize % all.len()])
}

impl Engine {
    fn new(limits: Limits) -> Engine {
        let policy = Policy::new(limits.clone());
        let (places, tasks) = (BTreeMap::new(), BTreeMap::new());
        Engine { policy, limits, places, tasks, next: 0, failed: 0, ended: 0, untold: VecDeque::new() }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn is_in_use(&self, chunk: ChunkId) -> bool {
        let runs = |work: &Work| matches!(work.stage, Stage::Running | Stage::Paused);
        self.places[&chunk].user_pins > 0
            || self.tasks.values().any(|work| runs(work) && work.inputs.contains(&chunk))
    }

    fn tell(&mut self, event: Event) {
        self.untold.push_back(event);
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

    fn obey(&mut self, action: Action) {
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
    fn give_up(&mut self, task: TaskId) {
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

    fn in_stage(&self, stage: Stage) -> impl Iterator<Item = TaskId> {
        self.tasks.iter().filter(move |(_, work)| work.stage == stage).map(|(task, _)| *task)
    }

    fn ready(&self) -> Vec<TaskId> {
        let is_made = |input: &ChunkId| self.places[input].is_made;
        let all_made = |task: &TaskId| self.tasks[task].inputs.iter().all(is_made);
        self.in_stage(Stage::Waiting).filter(all_made).collect()
    }

    /// Submits the task that makes a chunk again, from what is left of its inputs.
    fn remake(&mut self, chunk: ChunkId) {
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

    fn put(&mut self, bytes: u64, spill: Spill) {
        let chunk = ChunkId(self.number());
        let place = Place { bytes, is_made: true, is_in_memory: true, ..Place::of(spill, &[]) };
        self.places.insert(chunk, place);
        let is_held = chunk.0.is_multiple_of(2);
        self.tell(Event::Made(Made { chunk, bytes, spill, is_held }));
        if is_held {
            self.tell(Event::Unpinned(chunk));
        }
    }

    fn submit(&mut self, inputs: [u8; 3], result: u64, spill: Spill) {
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

    fn end(&mut self, task: TaskId, makes: Makes) {
        let (chunk, spill) = self.tasks[&task].makes;
        if self.tasks[&task].is_again {
            return self.end_again(task, chunk, makes);
        }
        let is_dropped =
            self.places[&chunk].is_released && !self.tasks.values().any(|w| w.inputs.contains(&chunk));
        if makes == Makes::Nothing || is_dropped {
            self.give_up(task);
            self.tell(Event::Ended { task, result: None });
            return;
        }
        let work = self.tasks.remove(&task).unwrap();
        let bytes = if makes == Makes::Twice { 2 * work.result } else { work.result };
        let place = self.places.get_mut(&chunk).unwrap();
        (place.bytes, place.is_made, place.is_in_memory) = (bytes, true, true);
        self.ended += 1;
        self.tell(Event::Ended { task, result: Some(Made { chunk, bytes, spill, is_held: false }) });
    }

    fn end_again(&mut self, task: TaskId, chunk: ChunkId, makes: Makes) {
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

    fn transfer(&mut self, chunk: ChunkId, fate: Fate) {
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
                self.tell(Event::ReadEnded { chunk, outcome });
            }
        }
    }

    fn moving(&self) -> impl Iterator<Item = ChunkId> {
        self.places.iter().filter(|(_, place)| place.transfer.is_some()).map(|(id, _)| *id)
    }

    fn make(&mut self, choice: Choice) {
        match choice {
            Choice::Put { bytes, spill } => self.put(bytes, spill),
            Choice::Submit { inputs, result, spill } => self.submit(inputs, result, spill),
            Choice::Ask(which) => {
                if let Some(task) = nth(self.ready().into_iter(), which) {
                    self.ask(task);
                }
            }
            Choice::End { task, makes } => {
                if let Some(task) = nth(self.in_stage(Stage::Running), task) {
                    self.end(task, makes);
                }
            }
            Choice::Cancel(which) => {
                if let Some(task) = nth(self.tasks.keys().copied(), which) {
                    self.end(task, Makes::Nothing);
                }
            }
            Choice::Pause(which) => {
                if let Some(task) = nth(self.in_stage(Stage::Running), which) {
                    self.tasks.get_mut(&task).unwrap().stage = Stage::Paused;
                    self.tell(Event::Paused(task));
                }
            }
            Choice::Resume(which) => {
                if let Some(task) = nth(self.in_stage(Stage::Paused), which) {
                    self.resume(task);
                }
            }
            Choice::Pin(which) => {
                let can =
                    |(id, place): &(&ChunkId, &Place)| !place.is_released && self.policy.is_resident(**id);
                if let Some(chunk) = nth(self.places.iter().filter(can).map(|(id, _)| *id), which) {
                    self.places.get_mut(&chunk).unwrap().user_pins += 1;
                    self.tell(Event::Pinned(chunk));
                }
            }
            Choice::Unpin(which) => {
                let held = self.places.iter().filter(|(_, place)| place.user_pins > 0).map(|(id, _)| *id);
                if let Some(chunk) = nth(held, which) {
                    self.unpin(chunk);
                }
            }
            Choice::Release(which) => {
                let open = self.places.iter().filter(|(_, place)| !place.is_released).map(|(id, _)| *id);
                if let Some(chunk) = nth(open, which) {
                    self.release(chunk);
                }
            }
            Choice::Transfer(which, fate) => {
                if let Some(chunk) = nth(self.moving(), which) {
                    self.transfer(chunk, fate);
                }
            }
        }
    }

    fn ask(&mut self, task: TaskId) {
        self.tasks.get_mut(&task).unwrap().stage = Stage::Asked;
        let work = &self.tasks[&task];
        if work.is_again {
            return self.tell(Event::AskedAgain(task, work.makes.0));
        }
        let lane = if task.0.is_multiple_of(3) { Lane::Beside } else { Lane::Processor };
        self.tell(Event::Asked(task, lane));
    }

    fn resume(&mut self, task: TaskId) {
        self.tasks.get_mut(&task).unwrap().stage = Stage::Running;
        self.tell(Event::Resumed(task));
    }

    fn unpin(&mut self, chunk: ChunkId) {
        self.places.get_mut(&chunk).unwrap().user_pins -= 1;
        self.tell(Event::Unpinned(chunk));
    }

    fn release(&mut self, chunk: ChunkId) {
        self.places.get_mut(&chunk).unwrap().is_released = true;
        self.tell(Event::Released(chunk));
    }

    /// Lets everything come to its end, and all chunks go.
    fn finish(&mut self) {
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

fn choice() -> impl Strategy<Value = Choice> {
    let spill = || {
        prop_oneof![
            8 => Just(Spill::Allowed),
            1 => Just(Spill::Eager),
            1 => Just(Spill::Never),
            3 => Just(Spill::Remade),
        ]
    };
    let bytes = || prop_oneof![4 => Just(4096u64), 2 => 0u64..20_000, 1 => Just(0)];
    let fate = || prop_oneof![8 => Just(Fate::Done), 1 => Just(Fate::Full), 1 => Just(Fate::Refused)];
    let makes =
        || prop_oneof![6 => Just(Makes::AsDeclared), 1 => Just(Makes::Twice), 1 => Just(Makes::Nothing)];
    prop_oneof![
        1 => (bytes(), spill()).prop_map(|(bytes, spill)| Choice::Put { bytes, spill }),
        6 => (any::<[u8; 3]>(), bytes(), spill())
            .prop_map(|(inputs, result, spill)| Choice::Submit { inputs, result, spill }),
        6 => any::<u8>().prop_map(Choice::Ask),
        6 => (any::<u8>(), makes()).prop_map(|(task, makes)| Choice::End { task, makes }),
        1 => any::<u8>().prop_map(Choice::Cancel),
        1 => any::<u8>().prop_map(Choice::Pause),
        1 => any::<u8>().prop_map(Choice::Resume),
        1 => any::<u8>().prop_map(Choice::Pin),
        1 => any::<u8>().prop_map(Choice::Unpin),
        2 => any::<u8>().prop_map(Choice::Release),
        6 => (any::<u8>(), fate()).prop_map(|(which, fate)| Choice::Transfer(which, fate)),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let budget = prop_oneof![1 => 1u64..5_000, 4 => 4_096u64..60_000];
    let alone = prop_oneof![3 => Just(u64::MAX), 1 => 60_000u64..80_000];
    let spill = prop_oneof![3 => Just(u64::MAX), 1 => 0u64..60_000, 1 => Just(0)];
    (budget, alone, spill, 0u64..4, 1usize..6).prop_map(|(budget, alone, spill, window, transfers)| Limits {
        budget,
        alone,
        spill,
        window,
        transfers,
        processors: 1 + transfers % 3,
    })
}

proptest! {
    /// Whatever happens in whichever order: the policy's own check holds, nothing in use leaves, nothing clean is
    /// written, every task that asks is let in or fails, and everything is freed in the end.
    #[test]
    fn any_order_of_events_keeps_the_rules_and_comes_to_an_end(
        limits in limits(),
        choices in prop::collection::vec(choice(), 1..150),
    ) {
        let mut engine = Engine::new(limits);
        for choice in choices {
            engine.make(choice);
        }
        engine.finish();
    }
}

/// With room on the disk no task fails, whatever the budget: what does not fit is let in alone.
#[test]
fn no_task_fails_while_the_disk_takes_everything() {
    for budget in [1, 4096, 3 * 4096, 20 * 4096] {
        let mut engine = Engine::new(Limits { budget, ..Limits::default() });
        for round in 0..200u64 {
            engine.submit([round as u8, (round * 7) as u8, 1], 4096, Spill::Allowed);
        }
        engine.finish();
        assert_eq!((engine.failed, engine.ended), (0, 200));
    }
}

fn two_chunks(limits: Limits) -> Engine {
    let mut engine = Engine::new(limits);
    engine.put(4096, Spill::Allowed);
    engine.put(4096, Spill::Allowed);
    engine
}

#[test]
fn a_task_that_lacks_memory_fails_when_the_spill_limit_is_reached_and_others_go_on() {
    let mut engine = two_chunks(Limits { budget: 8192, spill: 4000, ..Limits::default() });
    engine.submit([0; 3], 4096, Spill::Allowed);
    engine.submit([1, 0, 0], 0, Spill::Allowed);
    let (large, small) = (TaskId(3), TaskId(5));
    let mut actions = Vec::new();
    engine.policy.on(Event::Asked(large, Lane::Processor), &mut actions);
    let [Action::Fail(task, Why::SpillLimit { need: 4096, stored: 0, limit: 4000 })] = actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(task, large);
    engine.ask(small);
    assert_eq!(engine.tasks[&small].stage, Stage::Running);
}

#[test]
fn a_refused_write_keeps_the_chunk_and_fails_one_task_then_is_tried_again() {
    let mut engine = two_chunks(Limits { budget: 8192, window: 0, ..Limits::default() });
    engine.submit([0; 3], 4096, Spill::Allowed);
    engine.submit([0; 3], 4096, Spill::Allowed);
    engine.ask(TaskId(3));
    engine.ask(TaskId(5));
    let first = nth(engine.moving(), 0).unwrap();
    engine.transfer(first, Fate::Refused);
    assert!(engine.policy.is_resident(first), "nothing is lost");
    assert_eq!(engine.failed, 1);
    let second = nth(engine.moving(), 0).expect("the next task tries the disk again");
    engine.transfer(second, Fate::Done);
    assert_eq!(engine.tasks[&TaskId(5)].stage, Stage::Running);
}

#[test]
fn what_a_task_alone_may_not_have_fails_with_the_numbers() {
    let mut engine = Engine::new(Limits { budget: 100, alone: 1000, ..Limits::default() });
    engine.put(50, Spill::Never);
    let mut actions = Vec::new();
    engine.policy.on(Event::Submitted { task: TaskId(9), inputs: vec![], result: 951 }, &mut actions);
    engine.policy.on(Event::Asked(TaskId(9), Lane::Processor), &mut actions);
    let [Action::Fail(_, why)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(why.to_string(), "needs 951 bytes of memory beside 50 that cannot leave; the limit is 1000");
}
