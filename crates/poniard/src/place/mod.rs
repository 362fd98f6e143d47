//! Where a task runs that uses data which live somewhere: where all of them do, and where it asks to run.

mod pieces;

pub(crate) use pieces::{Growth, Home, Pieces};

use crate::cluster;
use crate::options;
use crate::reach::reaches;
use pieces::Piece;
use poniard_model::{ProcessorId, Scope, TaskOptions, Topology};
use poniard_pool::{AnyHandle, Lives};
use std::sync::Arc;

/// Where the data of a task live, and where the results of `inputs` may be used, as far as that narrows the scope that it asks for;
/// or why there is no such place. Chooses the pieces of shards.
pub(crate) fn place(
    asked: &TaskOptions,
    data: &[Lives],
    inputs: &[AnyHandle],
) -> Result<Option<Scope>, String> {
    let reaches = reaches(inputs);
    let mut homes: Vec<Scope> = Vec::new();
    let mut shards: Vec<Arc<Pieces>> = Vec::new();
    for datum in data {
        if let Some(shard) = pieces_of(datum) {
            shards.push(shard);
            continue;
        }
        let home = home_of(datum)?;
        if !homes.contains(&home) {
            homes.push(home);
        }
    }
    let is_bound = data.iter().any(|datum| datum.place().is_some());
    let mut constraints = options::constraints(asked);
    constraints.extend(reaches.iter().cloned());
    if !is_bound && reaches.is_empty() && (constraints.is_empty() || homes.is_empty()) {
        return Ok(None);
    }
    let topology = cluster::topology()?;
    let both = |left, right| left & right;
    let asked = constraints.iter().map(|(_, scope)| scope.clone()).reduce(both);
    let all = asked.iter().chain(&homes).cloned().reduce(both).unwrap_or_else(Scope::any);
    if let Some(reason) = all.why_empty(&topology) {
        return Err(match homes.is_empty() {
            true => Scope::why_apart(&constraints, &topology).unwrap_or(reason),
            false => clash(asked.as_ref(), &homes, &reason),
        });
    }
    let chosen = choose(&shards, &all, &topology, data)?;
    let reaches = reaches.into_iter().map(|(_, scope)| scope);
    Ok(homes.into_iter().chain(chosen).chain(reaches).reduce(both))
}

/// Where a datum lives: what its maker has asked for, as far as that is one worker.
fn home_of(datum: &Lives) -> Result<Scope, String> {
    let here = Scope::worker(poniard_pool::me());
    let asked = datum.place().and_then(|place| place.downcast_ref::<Scope>().cloned());
    let Some(asked) = asked.filter(|asked| *asked != here) else { return Ok(here) };
    // What lives elsewhere says which worker that is. What was made here may fit others as well, which have come since.
    let me = poniard_pool::me();
    let topology = cluster::topology()?;
    let fitting = asked.processors(&topology);
    let is_here = |processor: &ProcessorId| processor.worker == me;
    let is_mixed = fitting.iter().any(is_here) && !fitting.iter().all(is_here);
    Ok(if is_mixed { asked & here } else { asked })
}

/// The pieces from which this datum is chosen, if it is a shard's.
fn pieces_of(datum: &Lives) -> Option<Arc<Pieces>> {
    datum.place()?.clone().downcast::<Pieces>().ok()
}

/// Why nothing fits a task and its data together.
fn clash(asked: Option<&Scope>, homes: &[Scope], reason: &str) -> String {
    let homes: Vec<String> = homes.iter().map(|home| format!("`{home}`")).collect();
    let homes = homes.join(" and ");
    match asked {
        Some(asked) => {
            format!("asks for scope `{asked}`, and uses a mutable that lives in {homes}: {reason}")
        }
        None => format!("uses mutables that live in {homes}: {reason}"),
    }
}

/// Chooses a piece of each shard, all of them of one processor; gives the processors that have these pieces, if they are not all.
///
/// The piece is chosen at the spawn, and not by the processor that happens to be free: so tasks that use a piece have an order
/// like those that use a mutable. Of several, those pieces are chosen that the fewest tasks use or wait for.
fn choose(
    shards: &[Arc<Pieces>],
    scope: &Scope,
    topology: &Topology,
    data: &[Lives],
) -> Result<Option<Scope>, String> {
    let Some(first) = shards.first() else { return Ok(None) };
    let processors = topology.processors.iter().filter(|processor| scope.contains(processor, topology));
    // Processors with the same pieces are as good as each other.
    let mut groups: Vec<(Vec<Piece>, Vec<ProcessorId>)> = Vec::new();
    let mut without: Vec<ProcessorId> = Vec::new();
    for processor in processors {
        let pieces: Option<Vec<Piece>> =
            shards.iter().map(|shard| shard.piece_of(processor, topology)).collect();
        let Some(pieces) = pieces else {
            without.push(processor.id);
            continue;
        };
        match groups.iter_mut().find(|(others, _)| *others == pieces) {
            Some((_, processors)) => processors.push(processor.id),
            None => groups.push((pieces, vec![processor.id])),
        }
    }
    if groups.is_empty() {
        let without: Vec<String> = without.iter().map(ToString::to_string).collect();
        let shard = shards.iter().map(|shard| shard.to_string()).collect::<Vec<_>>().join(", and one with ");
        return Err(format!("runs on {}, and uses a shard with {shard}", without.join(" or ")));
    }
    let count = groups.len();
    let is_everywhere = count == 1 && without.is_empty();
    // Of equally busy ones each in its turn.
    groups.rotate_left(first.next() % count);
    let users = |pieces: &[Piece]| -> usize {
        pieces.iter().zip(shards).map(|(piece, shard)| shard.users(*piece)).sum()
    };
    let least = groups.into_iter().min_by_key(|(pieces, _)| users(pieces));
    let (pieces, processors) = least.expect("there is one, see above");
    let chosen = shards.iter().zip(pieces);
    for (datum, (shard, piece)) in data.iter().filter(|datum| pieces_of(datum).is_some()).zip(chosen) {
        datum.choose(
            &*shard
                .datum(piece)
                .map_err(|error| format!("uses a shard, of which a piece is due: {error}"))?,
        );
    }
    let exactly = processors.into_iter().map(Scope::exact).reduce(|left, right| left | right);
    Ok(exactly.filter(|_| !is_everywhere))
}
