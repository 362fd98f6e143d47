//! Random graphs, and what they come to.

use crate::random::Random;
use crate::work::{Act, mix};

/// What a graph may hold, and what happens while it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Nature {
    pub(crate) fails: bool,
    pub(crate) cancels: bool,
}

/// A task of a graph: what it needs comes before it.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) inputs: Vec<usize>,
    /// It is given the handle of its only input, not the value.
    pub(crate) follows: bool,
    pub(crate) act: Act,
    /// How often it is tried again.
    pub(crate) retries: u32,
    /// Chooses its options.
    pub(crate) options: u64,
    /// An earlier task, or this, is cancelled when it has been spawned.
    pub(crate) cancels: Option<usize>,
}

/// What a task comes to: its number, or the places of the tasks whose failures may be told.
pub(crate) type Outcome = Result<u64, Vec<usize>>;

/// A graph is its seed.
pub(crate) fn graph(seed: u64, nature: Nature) -> Vec<Node> {
    let mut random = Random::of(seed);
    let most = [50, 400, 1500][random.below(3)];
    let size = 10 + random.below(most);
    // Some graphs are long and thin, some flat and wide.
    let reach = 1 + random.below(size.min(64));
    let has_bytes = random.one_in(2);
    (0..size).map(|place| node(&mut random, place, reach, nature, has_bytes)).collect()
}

fn node(random: &mut Random, place: usize, reach: usize, nature: Nature, has_bytes: bool) -> Node {
    let count = if place == 0 { 0 } else { random.below(4) };
    let mut inputs: Vec<usize> = (0..count).map(|_| place - 1 - random.below(place.min(reach))).collect();
    let follows = inputs.len() == 1 && random.one_in(4);
    let act = match random.below(100) {
        _ if follows => Act::Return,
        0 if nature.fails && random.one_in(4) => Act::Fail,
        0..40 => Act::Work(random.below(4000) as u32),
        40..50 => Act::Sleep(random.below(8000) as u32),
        50..55 => Act::Nest(1 + random.below(6) as u32),
        55..70 if has_bytes => Act::Fill(64 << random.below(11)),
        _ => Act::Return,
    };
    // What comes to most inputs is long chains of them: a few tasks begin anew.
    if random.one_in(16) {
        inputs.truncate(usize::from(follows));
    }
    let retries = if act == Act::Fail { random.below(3) as u32 } else { 0 };
    let cancels = (nature.cancels && random.one_in(100)).then(|| place - random.below(place.min(50) + 1));
    Node { inputs, follows, act, retries, options: random.number(), cancels }
}

/// What it comes to where nothing is cancelled, one task after the other.
pub(crate) fn oracle(nodes: &[Node]) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(nodes.len());
    for (place, node) in nodes.iter().enumerate() {
        let mut roots: Vec<usize> = node
            .inputs
            .iter()
            .filter_map(|input| outcomes[*input].as_ref().err())
            .flatten()
            .copied()
            .collect();
        roots.sort_unstable();
        roots.dedup();
        outcomes.push(match node.act {
            _ if !roots.is_empty() => Err(roots),
            Act::Fail => Err(vec![place]),
            _ => Ok(mix(place as u32, node.inputs.iter().map(|input| number(&outcomes[*input])))),
        });
    }
    outcomes
}

fn number(outcome: &Outcome) -> u64 {
    *outcome.as_ref().expect("there is no root")
}

/// How often each task starts where nobody dies and nothing is cancelled.
pub(crate) fn starts_expected(nodes: &[Node], outcomes: &[Outcome]) -> Vec<u32> {
    let of = |(place, node): (usize, &Node)| match &outcomes[place] {
        Ok(_) => 1,
        Err(_) if node.inputs.iter().any(|input| outcomes[*input].is_err()) => 0,
        Err(_) => 1 + node.retries,
    };
    nodes.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_that_of_all_that_need_it_and_of_no_other() {
        let node = |inputs: &[usize], act| Node {
            inputs: inputs.to_vec(),
            follows: false,
            act,
            retries: 0,
            options: 0,
            cancels: None,
        };
        let nodes = [
            node(&[], Act::Fail),
            node(&[], Act::Return),
            node(&[1], Act::Return),
            node(&[0, 2], Act::Return),
            node(&[3], Act::Fail),
        ];
        let outcomes = oracle(&nodes);
        let one = mix(1, [].into_iter());
        assert_eq!(
            outcomes,
            [Err(vec![0]), Ok(one), Ok(mix(2, [one].into_iter())), Err(vec![0]), Err(vec![0])]
        );
        assert_eq!(starts_expected(&nodes, &outcomes), [1, 1, 1, 0, 0]);
    }

    #[test]
    fn a_graph_is_its_seed() {
        let nature = Nature { fails: true, cancels: true };
        assert_eq!(format!("{:?}", graph(5, nature)), format!("{:?}", graph(5, nature)));
    }
}
