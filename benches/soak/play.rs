//! Runs a graph, and holds what it comes to against its oracle.

use crate::graph::{Nature, Node, Outcome, graph, oracle, starts_expected};
use crate::random::Random;
use crate::watchdog;
use crate::work::{Key, Made, bytes_told, clear_ledger, follow, is_whole, run, starts};
use poniard::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// Fewer deaths never fail a task that kills nobody: the third one is held against it.
const DEATHS_BLAMED: usize = 3;

/// What graphs came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Played {
    pub(crate) graphs: u64,
    pub(crate) tasks: u64,
    /// Values that are as the oracle says.
    pub(crate) right: u64,
    /// Failures that are as the oracle says.
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
    /// Tasks, and those that need them, that were there when three workers were killed.
    pub(crate) blamed: u64,
    /// Workers that died.
    pub(crate) died: u64,
    pub(crate) started: u64,
    /// Of these on other workers than the first.
    pub(crate) elsewhere: u64,
    /// Starts beyond those that the oracle expects.
    pub(crate) again: u64,
}

impl Played {
    /// Both.
    pub(crate) fn and(self, other: Played) -> Played {
        Played {
            graphs: self.graphs + other.graphs,
            tasks: self.tasks + other.tasks,
            right: self.right + other.right,
            failed: self.failed + other.failed,
            cancelled: self.cancelled + other.cancelled,
            blamed: self.blamed + other.blamed,
            died: self.died + other.died,
            started: self.started + other.started,
            elsewhere: self.elsewhere + other.elsewhere,
            again: self.again + other.again,
        }
    }
}

/// Plays one graph; says what is wrong.
pub(crate) fn play(
    cluster: &Cluster,
    seed: u64,
    number: u32,
    nature: Nature,
    deaths_left: &AtomicI32,
) -> Result<Played, String> {
    let wrong = |what: String| format!("graph {number} of seed {seed}, {nature:?}: {what}");
    let nodes = graph(seed, nature);
    let outcomes = oracle(&nodes);
    let gone_before = lost(cluster);
    // One in eight sees as many deaths as come, the others no more than must cost them nothing.
    let deaths = if Random::of(!seed).one_in(8) { i32::MAX } else { DEATHS_BLAMED as i32 - 1 };
    deaths_left.store(deaths, Ordering::Relaxed);
    let key = Key { program: std::process::id(), graph: number, place: 0 };
    watchdog::begins(wrong("to be spawned".to_owned()), Vec::new());
    let (tasks, total) = spawned(&nodes, key);
    watchdog::begins(wrong("to end".to_owned()), tasks.iter().map(DTask::any).collect());
    let mut played = Played { graphs: 1, tasks: nodes.len() as u64, ..Played::default() };
    let ended: Vec<Result<(), TaskError>> = (0..tasks.len())
        .map(|place| {
            compared(&tasks[place], &outcomes[place]).map_err(|what| wrong(format!("task {place}: {what}")))
        })
        .collect::<Result<_, String>>()?;
    deaths_left.store(0, Ordering::Relaxed);
    let (starts, elsewhere) = starts(key.program, key.graph, nodes.len());
    let expected = starts_expected(&nodes, &outcomes);
    if starts.iter().zip(&expected).any(|(started, expected)| started > expected) {
        // A death is known to the scheduler a little before everybody sees it.
        std::thread::sleep(Duration::from_millis(500));
    }
    let died = lost(cluster).difference(&gone_before).count();
    (played.died, played.elsewhere) = (died as u64, elsewhere);
    for (place, ended) in ended.iter().enumerate() {
        match (ended, &outcomes[place]) {
            (Ok(()), _) => played.right += 1,
            (Err(error), _) if nature.cancels && error.root().is_cancelled() => played.cancelled += 1,
            (Err(error), _) if died >= DEATHS_BLAMED && says_lost(error) => played.blamed += 1,
            (Err(error), Err(roots)) if roots.iter().any(|root| says_failure(error, *root)) => {
                played.failed += 1
            }
            // Behind a handle that was cancelled.
            (Err(error), _) if nature.cancels && error.to_string().contains("cancelled") => {
                played.cancelled += 1
            }
            (Err(error), expected) => {
                return Err(wrong(format!(
                    "task {place} fails with `{error}`, expected {expected:?}, {died} died"
                )));
            }
        }
    }
    let have_all_ended_well = ended.iter().all(Result::is_ok);
    let sum = total.fetch().map_err(|error| wrong(format!("the sum: {error}")))?;
    let right = outcomes.iter().flatten().fold(0_u64, |sum, number| sum.wrapping_add(*number));
    if have_all_ended_well && sum != right {
        return Err(wrong(format!("the sum of all is {sum}, expected {right}")));
    }
    for (place, (started, expected)) in starts.iter().zip(expected).enumerate() {
        played.started += u64::from(*started);
        played.again += u64::from(started.saturating_sub(expected));
        // What is dropped instead of being written is made again.
        let may_start_again = died > 0 || is_cached(&nodes[place]);
        let may_be_left_out = nature.cancels || died >= DEATHS_BLAMED;
        if (*started > expected && !may_start_again) || (*started < expected && !may_be_left_out) {
            return Err(wrong(format!("task {place} started {started} times, not {expected}; {died} died")));
        }
    }
    clear_ledger(key.program).map_err(|error| wrong(format!("the list of starts: {error}")))?;
    Ok(played)
}

/// Whether the value is as expected; the error, if it failed; or what is wrong.
fn compared(task: &DTask<Made>, outcome: &Outcome) -> Result<Result<(), TaskError>, String> {
    let made = match task.fetch_ref() {
        Ok(made) => made,
        Err(error) => return Ok(Err(error)),
    };
    match outcome {
        Ok(number) if made.0 == *number && is_whole(&made) => Ok(Ok(())),
        Ok(number) => Err(format!("comes to {}, expected {number}; {}", made.0, bytes_told(&made))),
        Err(roots) => Err(format!("comes to {}, expected the failure of one of {roots:?}", made.0)),
    }
}

fn says_failure(error: &TaskError, root: usize) -> bool {
    error.to_string().contains(&format!("{root} fails"))
}

fn says_lost(error: &TaskError) -> bool {
    error.root().is_worker_lost() || error.to_string().contains("workers died while they ran it")
}

/// The tasks of the graph, and the sum of all their numbers as a datum of this process comes to it.
fn spawned(nodes: &[Node], key: Key) -> (Vec<DTask<Made>>, Mutable<u64>) {
    let mut total = mutable!(0_u64);
    let mut tasks: Vec<DTask<Made>> = Vec::with_capacity(nodes.len());
    for (place, node) in nodes.iter().enumerate() {
        let key = Key { place: place as u32, ..key };
        let inputs: Vec<DTask<Made>> = node.inputs.iter().map(|input| tasks[*input].clone()).collect();
        let act = node.act;
        let spawn = || match &inputs[..] {
            [input] if node.follows => spawn!(follow(key, (input.clone(),))?),
            _ => spawn!(run(key, act, &inputs)?),
        };
        // What is asked for a block keeps its tasks here: plain ones are lent to who is idle.
        let task = if is_plain(node) { spawn() } else { with_options(options(node), spawn) };
        spawn!(add(&mut total, &task));
        tasks.push(task);
        if let Some(cancelled) = node.cancels {
            tasks[cancelled].cancel();
        }
    }
    (tasks, total)
}

fn add(total: &mut u64, made: &Made) {
    *total = total.wrapping_add(made.0);
}

/// What the options of a task are chosen among.
const CHOICES: usize = 12;
/// That of one whose value may be made again for want of memory.
const CACHED: usize = 5;
/// From here on there are none: most tasks are plain, as in real programs.
const PLAIN: usize = 6;

fn choice(node: &Node) -> usize {
    Random::of(node.options).below(CHOICES)
}

fn is_cached(node: &Node) -> bool {
    choice(node) == CACHED
}

fn is_plain(node: &Node) -> bool {
    choice(node) >= PLAIN && node.retries == 0
}

fn options(node: &Node) -> Options {
    let mut random = Random::of(node.options);
    let options = Options::new().retries(node.retries);
    match random.below(CHOICES) {
        0 => options.priority(random.below(5) as i32 - 2),
        1 => options.occupancy([0.0, 0.25, 0.5][random.below(3)]),
        2 => options.scope(!Scope::worker(1)),
        3 => options.scope(Scope::worker(1)),
        4 => options.memory(1 << 20),
        CACHED => options.cache(true),
        _ => options,
    }
}

/// Workers that are gone and were not removed.
fn lost(cluster: &Cluster) -> BTreeSet<WorkerId> {
    let gone = cluster.status().gone.into_iter();
    gone.filter(|(_, how)| !how.contains("removed")).map(|(worker, _)| worker).collect()
}
