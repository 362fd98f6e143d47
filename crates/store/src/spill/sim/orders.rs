//! Events in any order, through the engine that watches the policy.

use super::engine::{Engine, Fate, Makes, Place, Stage, nth};
use super::*;
use proptest::prelude::*;

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
    /// What is read from another process is to be made again there first.
    Stall(u8),
}

impl Engine {
    /// Does it, if it can be done.
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
            Choice::Stall(which) => {
                if let Some(chunk) = nth(self.coming(), which) {
                    self.tell(Event::Stalled(chunk));
                }
            }
            Choice::Transfer(which, fate) => {
                if let Some(chunk) = nth(self.moving(), which) {
                    self.transfer(chunk, fate);
                }
            }
        }
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
    let makes = || prop_oneof![6 => Just(Makes::AsDeclared), 1 => Just(Makes::Twice), 1 => Just(Makes::Nothing), 2 => Just(Makes::Elsewhere)];
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
        1 => any::<u8>().prop_map(Choice::Stall),
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
