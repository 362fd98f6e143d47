//! Random programs that read and change values in place, against the order in which they were spawned.
//!
//! Each value is the list of the tasks that have changed it, so it shows who came when. Several tasks spawn such tasks at
//! once: what each of them spawns must come in its own order, and what a task sees must be what those before it have left.

use crate::chance::Random;
use crate::random::silence_panics;
use poniard::prelude::*;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// The tasks that have changed a value, by their [`Step::id`].
type Log = Vec<u64>;

/// What a task does with its values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Act {
    Return,
    Fail,
    Panic,
    /// Fails this often, and then returns; it is tried that often again.
    FailAtFirst(usize),
}

/// Which values a task uses, and how.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Uses {
    Write(usize),
    Read(usize),
    WriteBoth(usize, usize),
    WriteFirst(usize, usize),
    ReadBoth(usize, usize),
}

impl Uses {
    fn written(self) -> Vec<usize> {
        match self {
            Uses::Write(x) | Uses::WriteFirst(x, _) => vec![x],
            Uses::WriteBoth(x, y) => vec![x, y],
            Uses::Read(_) | Uses::ReadBoth(..) => vec![],
        }
    }

    /// In the order of [`Seen`].
    fn used(self) -> Vec<usize> {
        match self {
            Uses::Write(x) | Uses::Read(x) => vec![x],
            Uses::WriteBoth(x, y) | Uses::WriteFirst(x, y) | Uses::ReadBoth(x, y) => vec![x, y],
        }
    }
}

/// A task of the program.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Step {
    /// The number of its spawner, above its place among those that this one spawns.
    id: u64,
    uses: Uses,
    act: Act,
    /// How far back the task is that is cancelled after this one is spawned.
    cancels: Option<usize>,
    options: usize,
}

impl Step {
    fn spawner(id: u64) -> u64 {
        id >> 32
    }

    /// How often it may have written when it has ended like this.
    fn writes(&self, error: Option<&TaskError>, cancels: bool) -> std::ops::RangeInclusive<usize> {
        match self.act {
            // Between two attempts a cancel comes before a start.
            Act::FailAtFirst(times) if cancels => 0..=times + 1,
            Act::FailAtFirst(times) => times + 1..=times + 1,
            // There it may have begun before it heard of that.
            _ if error.is_some_and(|error| error.to_string().contains("on another worker")) => 0..=1,
            _ if error.is_some_and(TaskError::is_cancelled) => 0..=0,
            _ => 1..=1,
        }
    }
}

/// What a task saw before it did anything.
type Seen = Vec<Log>;

fn end(id: u64, act: Act, attempts: usize, seen: Seen) -> Result<Seen, String> {
    match act {
        Act::Return => Ok(seen),
        Act::Fail => Err(format!("{id} fails")),
        Act::Panic => std::panic::panic_any(format!("{id} panics")),
        Act::FailAtFirst(times) if attempts <= times => Err(format!("{id} fails at first")),
        Act::FailAtFirst(_) => Ok(seen),
    }
}

/// What was there before the attempts of the task itself.
fn before(log: &Log, id: u64) -> Log {
    log.iter().copied().take_while(|other| *other != id).collect()
}

fn attempts(log: &Log, id: u64) -> usize {
    log.iter().filter(|other| **other == id).count()
}

fn write(x: &mut Log, id: u64, act: Act) -> Result<Seen, String> {
    let seen = vec![before(x, id)];
    x.push(id);
    end(id, act, attempts(x, id), seen)
}

fn read(x: &Log, id: u64, act: Act) -> Result<Seen, String> {
    end(id, act, usize::MAX, vec![x.clone()])
}

fn write_both(x: &mut Log, y: &mut Log, id: u64, act: Act) -> Result<Seen, String> {
    let seen = vec![before(x, id), before(y, id)];
    x.push(id);
    y.push(id);
    end(id, act, attempts(x, id), seen)
}

fn write_first(x: &mut Log, y: &Log, id: u64, act: Act) -> Result<Seen, String> {
    let seen = vec![before(x, id), y.clone()];
    x.push(id);
    end(id, act, attempts(x, id), seen)
}

fn read_both(x: &Log, y: &Log, id: u64, act: Act) -> Result<Seen, String> {
    end(id, act, usize::MAX, vec![x.clone(), y.clone()])
}

fn program(seed: u64, spawners: usize, steps: usize, values: usize) -> Vec<Vec<Step>> {
    let mut random = Random::of(seed);
    let mut step = |spawner: usize, place: usize| {
        let x = random.below(values);
        let y = (x + 1 + random.below(values - 1)) % values;
        let uses = match random.below(8) {
            0..3 => Uses::Write(x),
            3..5 => Uses::Read(x),
            5 => Uses::WriteBoth(x, y),
            6 => Uses::WriteFirst(x, y),
            _ => Uses::ReadBoth(x, y),
        };
        let act = match random.below(30) {
            0 => Act::Fail,
            1 => Act::Panic,
            2 => Act::FailAtFirst(1 + random.below(3)),
            _ => Act::Return,
        };
        let cancels = random.one_in(20).then(|| random.below(10));
        Step { id: (spawner as u64) << 32 | place as u64, uses, act, cancels, options: random.below(12) }
    };
    (0..spawners).map(|spawner| (0..steps).map(|place| step(spawner, place)).collect()).collect()
}

fn spawn_step(step: &Step, values: &[Mutable<Log>]) -> DTask<Seen> {
    let (id, act) = (step.id, step.act);
    let value = |place: usize| values[place].clone();
    let spawn = || match step.uses {
        Uses::Write(x) => spawn!(write(&mut value(x), id, act)?),
        Uses::Read(x) => spawn!(read(&value(x), id, act)?),
        Uses::WriteBoth(x, y) => spawn!(write_both(&mut value(x), &mut value(y), id, act)?),
        Uses::WriteFirst(x, y) => spawn!(write_first(&mut value(x), &value(y), id, act)?),
        Uses::ReadBoth(x, y) => spawn!(read_both(&value(x), &value(y), id, act)?),
    };
    let options = match (step.act, step.options) {
        (Act::FailAtFirst(times), _) => Options::new().retries(Retries::new(times as u32)),
        (_, 0) => Options::new().priority(1),
        (_, 1) => Options::new().occupancy(0),
        (_, 2) => Options::new().scope(Scope::thread(0)),
        (_, 3) => Options::new().timeout(std::time::Duration::from_secs(600)),
        _ => return spawn(),
    };
    with_options(options, spawn)
}

fn spawn_all(steps: Vec<Step>, values: &[Mutable<Log>]) -> Vec<DTask<Seen>> {
    let mut tasks: Vec<DTask<Seen>> = Vec::new();
    for step in &steps {
        tasks.push(spawn_step(step, values));
        if let Some(back) = step.cancels {
            tasks[(tasks.len() - 1).saturating_sub(back)].cancel();
        }
    }
    tasks
}

/// Those of one spawner.
fn of(spawner: u64, log: &[u64]) -> Log {
    log.iter().copied().filter(|id| Step::spawner(*id) == spawner).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn turns_come_in_the_order_of_the_spawns(
        seed: u64, spawners in 1usize..4, steps in 1usize..150, count in 2usize..6,
    ) {
        silence_panics();
        let program = program(seed, spawners, steps, count);
        let values: Vec<Mutable<Log>> = (0..count).map(|_| mutable!(Log::new())).collect();
        let spawning: Vec<_> = program
            .iter()
            .map(|steps| {
                let values = values.clone();
                spawn!(steps = steps.clone(), values = values => spawn_all(steps, &values))
            })
            .collect();
        let tasks: Vec<Vec<DTask<Seen>>> = spawning.iter().map(|task| task.fetch().unwrap()).collect();
        tasks.iter().flatten().for_each(DTask::wait);
        let logs: Vec<Log> = values.iter().map(|value| value.fetch().unwrap()).collect();

        for (steps, tasks) in program.iter().zip(&tasks) {
            let cancelled: Vec<usize> = (0..steps.len())
                .filter_map(|place| Some(place.saturating_sub(steps[place].cancels?)))
                .collect();
            for (place, (step, task)) in steps.iter().zip(tasks).enumerate() {
                let result = task.fetch();
                let writes = step.writes(result.as_ref().err(), cancelled.contains(&place));
                for value in step.uses.written() {
                    let found = attempts(&logs[value], step.id);
                    prop_assert!(writes.contains(&found), "{step:?} wrote {found} times: {result:?}");
                }
                for (value, seen) in step.uses.used().into_iter().zip(result.unwrap_or_default()) {
                    prop_assert!(logs[value].starts_with(&seen), "{step:?} saw what never was");
                    let spawner = Step::spawner(step.id);
                    let earlier: Log =
                        of(spawner, &logs[value]).into_iter().filter(|id| *id < step.id).collect();
                    prop_assert_eq!(of(spawner, &seen), earlier, "{:?} came out of order", step);
                }
            }
        }
        for log in &logs {
            for spawner in 0..spawners as u64 {
                prop_assert!(of(spawner, log).is_sorted(), "in the order of the spawns: {log:?}");
            }
            let mut tasks = log.clone();
            tasks.dedup();
            let together = tasks.len();
            tasks.sort_unstable();
            tasks.dedup();
            prop_assert_eq!(tasks.len(), together, "the attempts of a task follow each other: {:?}", log);
        }
        for (x, y) in (0..count).flat_map(|x| (0..x).map(move |y| (x, y))) {
            let common = |log: &Log, other: &Log| -> Log { log.iter().copied().filter(|id| other.contains(id)).collect() };
            prop_assert_eq!(common(&logs[x], &logs[y]), common(&logs[y], &logs[x]), "one order for all values");
        }
    }
}
