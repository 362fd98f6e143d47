//! Random graphs with random options, failures and cancellations.
//!
//! A graph is its seed and its size: `PROPTEST_CASES` says how many are tried, and a failing one is printed, and shrunk to
//! the smallest size that still fails.

use crate::chance::Random;
use poniard::prelude::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often a task of this graph has been tried: by the place of the task.
static ATTEMPTS: Mutex<Vec<AtomicU32>> = Mutex::new(Vec::new());
/// Graphs share the counters above, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Return,
    Fail,
    Panic,
    /// Fails this often, and then returns; it may be tried that often again.
    FailAtFirst(u32),
    /// Spawns a task of its own, and fetches it.
    Nest,
}

/// A task of the graph: its inputs, and those that it only waits for, come before it.
#[derive(Debug)]
struct Node {
    inputs: Vec<usize>,
    after: Vec<usize>,
    act: Act,
    options: u64,
    cancel: bool,
}

fn graph(seed: u64, size: usize, failures: bool, cancels: bool) -> Vec<Node> {
    let mut random = Random::of(seed);
    // Some graphs are long and thin, some flat and wide.
    let reach = 1 + random.below(size.min(64));
    let node = |place: usize| {
        let mut earlier = |most: usize| -> Vec<usize> {
            let count = if place == 0 { 0 } else { random.below(most + 1) };
            (0..count).map(|_| place - 1 - random.below(place.min(reach))).collect()
        };
        let (inputs, after) = (earlier(3), earlier(1));
        let act = match random.below(200) {
            0 if failures => Act::Fail,
            1 if failures => Act::Panic,
            2..5 => Act::FailAtFirst(1 + random.below(3) as u32),
            5..15 => Act::Nest,
            _ => Act::Return,
        };
        Node { inputs, after, act, options: random.number(), cancel: cancels && random.one_in(100) }
    };
    (0..size).map(node).collect()
}

fn mix(place: u64, inputs: &[&u64]) -> u64 {
    inputs.iter().fold(place, |sum, input| (sum ^ **input).rotate_left(7).wrapping_mul(0x9E37_79B9))
}

fn fails_at_first(place: u64, times: u32) -> bool {
    let attempts = ATTEMPTS.lock().unwrap_or_else(PoisonError::into_inner);
    attempts[place as usize].fetch_add(1, Ordering::Relaxed) < times
}

fn run(place: u64, inputs: &[&u64], act: u8, times: u32) -> Result<u64, String> {
    match act {
        1 => return Err(format!("{place} fails")),
        2 => std::panic::panic_any(format!("{place} panics")),
        3 if fails_at_first(place, times) => return Err(format!("{place} fails at first")),
        4 => return Ok(spawn!((|x| x)(mix(place, inputs))).fetch().expect("a nested task returns")),
        _ => {}
    }
    Ok(mix(place, inputs))
}

fn options(node: &Node, place: usize) -> Options {
    let mut random = Random::of(node.options);
    let mut options = Options::new();
    if let Act::FailAtFirst(times) = node.act {
        let retries = Retries::new(times);
        // Its attempts are counted in this process.
        options = options.single(1).retries(if random.one_in(4) {
            retries.backoff(Duration::from_micros(50))
        } else {
            retries
        });
    }
    // Most tasks are plain, as in real programs.
    match random.below(16) {
        0 => options = options.priority(random.below(5) as i32 - 2),
        1 => options = options.occupancy([0.0, 0.25, 0.5][random.below(3)]),
        2 => options = options.scope(Scope::thread(0)),
        3 => options = options.threads(2).priority(1),
        4 => options = options.name(format!("task {place}")),
        5 => options = options.memory(1 << 20),
        6 => options = options.timeout(Duration::from_secs(600)),
        7 => options = options.time(Duration::from_micros(random.number() % 100)),
        _ => {}
    }
    options
}

fn spawn_graph(nodes: &[Node]) -> Vec<DTask<u64>> {
    *ATTEMPTS.lock().unwrap_or_else(PoisonError::into_inner) =
        nodes.iter().map(|_| AtomicU32::new(0)).collect();
    let mut tasks: Vec<DTask<u64>> = Vec::with_capacity(nodes.len());
    for (place, node) in nodes.iter().enumerate() {
        let inputs: Vec<DTask<u64>> = node.inputs.iter().map(|input| tasks[*input].clone()).collect();
        let after: Vec<DTask<u64>> = node.after.iter().map(|task| tasks[*task].clone()).collect();
        let (act, times) = match node.act {
            Act::Return => (0, 0),
            Act::Fail => (1, 0),
            Act::Panic => (2, 0),
            Act::FailAtFirst(times) => (3, times),
            Act::Nest => (4, 0),
        };
        let spawn = || {
            if after.is_empty() {
                spawn!(run(place as u64, &inputs, act, times)?)
            } else {
                spawn!(run(place as u64, &inputs, act, times)?, after = &after)
            }
        };
        let plain = node.options % 16 > 7 && !matches!(node.act, Act::FailAtFirst(_));
        tasks.push(if plain { spawn() } else { with_options(options(node, place), spawn) });
        if node.cancel {
            // Any earlier task, which may wait, be queued, run or have ended.
            tasks[place - place.min((node.options % 50) as usize)].cancel();
        }
    }
    tasks
}

/// What the graph comes to without cancels: the value, or the places of the tasks whose failure may be the root.
fn oracle(nodes: &[Node]) -> Vec<Result<u64, Vec<usize>>> {
    let mut results: Vec<Result<u64, Vec<usize>>> = Vec::with_capacity(nodes.len());
    for (place, node) in nodes.iter().enumerate() {
        let mut roots: Vec<usize> = Vec::new();
        for needed in node.inputs.iter().chain(&node.after) {
            roots.extend(results[*needed].as_ref().err().into_iter().flatten());
        }
        roots.sort_unstable();
        roots.dedup();
        let result = match node.act {
            _ if !roots.is_empty() => Err(roots),
            Act::Fail | Act::Panic => Err(vec![place]),
            _ => {
                let inputs: Vec<u64> =
                    node.inputs.iter().map(|input| *results[*input].as_ref().expect("no root")).collect();
                Ok(mix(place as u64, &inputs.iter().collect::<Vec<_>>()))
            }
        };
        results.push(result);
    }
    results
}

pub(crate) fn silence_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.payload().downcast_ref::<String>();
            if text.is_none_or(|text| !text.ends_with(" panics")) {
                before(panic);
            }
        }));
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Without cancels every task ends exactly as in the oracle.
    #[test]
    fn a_random_graph_comes_to_what_its_oracle_says(seed: u64, size in 1usize..10_000, failures: bool) {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        silence_panics();
        let nodes = graph(seed, size, failures, false);
        let tasks = spawn_graph(&nodes);
        let by_id = |error: &TaskError| {
            let id = error.root().task().expect("it is a task's").id;
            tasks.iter().position(|task| task.id() == id)
        };
        for (place, expected) in oracle(&nodes).iter().enumerate() {
            match (tasks[place].fetch(), expected) {
                (Ok(value), Ok(expected)) => prop_assert_eq!(value, *expected),
                (Err(error), Err(roots)) => {
                    let root = by_id(&error);
                    prop_assert!(root.is_some_and(|root| roots.contains(&root)), "{place}: {error}, not one of {roots:?}");
                }
                (found, expected) => prop_assert!(false, "{place}: {found:?}, expected {expected:?}"),
            }
        }
    }

    /// With cancels a task has its value, or an error whose root failed or was cancelled, and which it depends on.
    #[test]
    fn a_cancelled_graph_ends_and_is_right_where_it_has_values(seed: u64, size in 1usize..10_000, failures: bool) {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        silence_panics();
        let nodes = graph(seed, size, failures, true);
        let tasks = spawn_graph(&nodes);
        let oracle = oracle(&nodes);
        let results: Vec<Result<u64, TaskError>> = tasks.iter().map(DTask::fetch).collect();
        for (place, node) in nodes.iter().enumerate() {
            let failed_before = node.inputs.iter().chain(&node.after).any(|needed| results[*needed].is_err());
            match &results[place] {
                Ok(value) => {
                    prop_assert_eq!(Ok(*value), oracle[place].clone());
                    prop_assert!(!failed_before, "{} has a value though an input failed", place);
                }
                Err(error) if failed_before => prop_assert!(error.task().is_some()),
                Err(error) if error.is_cancelled() => {}
                // A cancel while an attempt runs leaves that attempt's own error, and no other attempt follows.
                Err(_) if matches!(node.act, Act::FailAtFirst(_)) => {}
                Err(error) => prop_assert_eq!(oracle[place].clone(), Err(vec![place]), "{}", error),
            }
        }
    }
}
